// Sign-in, sign-up and password reset with Express, rate-limited by authlimit.
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from "express";
import { DatabaseDown, mailResetLink, register, verify } from "./accounts.js";
import { type Attempt, Connection, Limiter, REFUSAL } from "./limiter.js";

const redis = new Connection(
  process.env.REDIS_URL ?? "redis://127.0.0.1:6379",
  Number(process.env.LIMITER_TIMEOUT_MS ?? 100),
);
// While Redis is unreachable, sign-in and reset fail closed (no brute force, no mail floods); sign-up fails open.
const signInLimiter = new Limiter(redis, "signin", { failMode: "closed" });
const signUpLimiter = new Limiter(redis, "signup", { failMode: "open" });
const resetLimiter = new Limiter(redis, "reset", { failMode: "closed" });

export const app: Express = express();
app.disable("x-powered-by");
// The proxies in front of this application, such as "127.0.0.1, 10.0.0.0/8". `true` would trust every client.
const proxies = (process.env.TRUSTED_PROXIES ?? "").split(",").map((word) => word.trim());
app.set(
  "trust proxy",
  proxies.filter((word) => word !== ""),
);
app.use(express.json({ limit: "10kb" }));

/** Returns a field of the body if it is text and not too long, in bytes: the module normalises up to 320 of them. */
function text(request: Request, field: string, longest: number): string | undefined {
  const body: unknown = request.body;
  const value = typeof body === "object" && body !== null ? (body as Record<string, unknown>)[field] : undefined;
  return typeof value === "string" && value !== "" && Buffer.byteLength(value) <= longest ? value : undefined;
}

/** Runs the work of an endpoint if the limiter allows the attempt. A failure on our side is not counted. */
async function guarded(
  limiter: Limiter,
  request: Request,
  response: Response,
  email: string,
  work: (attempt: Attempt) => Promise<void>,
): Promise<void> {
  const attempt = await limiter.check(request.ip ?? "", email);
  response.set(attempt.headers);
  if (!attempt.allowed) {
    response.status(attempt.status).json(REFUSAL);
    return;
  }
  try {
    await work(attempt);
  } catch (error) {
    if (error instanceof DatabaseDown) await attempt.refund();
    throw error;
  }
}

app.post("/signin", async (request, response) => {
  const email = text(request, "email", 320);
  const password = text(request, "password", 1024);
  if (email === undefined || password === undefined) {
    response.status(400).json({ error: "bad_request" });
    return;
  }
  await guarded(signInLimiter, request, response, email, async (attempt) => {
    if (await verify(email, password)) {
      await attempt.success();
      response.json({ ok: true });
    } else {
      response.status(401).json({ error: "wrong_credentials" });
    }
  });
});

// A success is not cleared: the limiter is there to stop bulk accounts.
app.post("/signup", async (request, response) => {
  const email = text(request, "email", 320);
  if (email === undefined || text(request, "password", 1024) === undefined) {
    response.status(400).json({ error: "bad_request" });
    return;
  }
  await guarded(signUpLimiter, request, response, email, async () => {
    await register(email);
    response.json({ message: "Check your inbox." });
  });
});

// The answer is the same whether the account exists or not. Call attempt.success() in the endpoint that changes the
// password, not here, where a mail is only requested.
app.post("/reset", async (request, response) => {
  const email = text(request, "email", 320);
  if (email === undefined) {
    response.status(400).json({ error: "bad_request" });
    return;
  }
  await guarded(resetLimiter, request, response, email, async () => {
    await mailResetLink(email);
    response.json({ message: "If the account exists, you will get an email." });
  });
});

/** Answers an error; without this, Express would send a stack trace. */
const onError: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
  // Errors of express.json() have the status of a client error.
  const status = error instanceof Error && "status" in error ? Number(error.status) : 500;
  response.status(status).json({ error: status < 500 ? "bad_request" : "internal" });
};
app.use(onError);
