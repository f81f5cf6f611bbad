// What the three route handlers share: the limiters, the client's address, and how an attempt is answered.
import { DatabaseDown } from "./accounts";
import { TrustedProxies } from "./client-address";
import { type Attempt, Connection, Limiter, REFUSAL } from "./limiter";

/** Makes the limiters on first use, since `next build` loads this module too. */
function makeLimiters() {
  const redis = new Connection(
    process.env.REDIS_URL ?? "redis://127.0.0.1:6379",
    Number(process.env.LIMITER_TIMEOUT_MS ?? 100),
  );
  return {
    // While Redis is away nobody guesses passwords or floods an inbox, but a new customer is not turned away.
    signin: new Limiter(redis, "signin", { failMode: "closed" }),
    signup: new Limiter(redis, "signup", { failMode: "open" }),
    reset: new Limiter(redis, "reset", { failMode: "closed" }),
  };
}

type Limiters = ReturnType<typeof makeLimiters>;

// `next dev` loads modules anew at every change, and would leave a connection behind each time.
const kept = globalThis as { limiters?: Limiters };
const proxies = new TrustedProxies(process.env.TRUSTED_PROXIES ?? "");

const LONGEST_BODY = 10 * 1024;

/** Reads the body, and no more of it than an email and a password take: Next.js itself would take any length. */
async function read(request: Request): Promise<unknown> {
  if (Number(request.headers.get("content-length") ?? 0) > LONGEST_BODY) return undefined;
  const reader = request.body?.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    length += part.value.byteLength;
    if (length > LONGEST_BODY) return undefined;
    chunks.push(part.value);
  }
  return JSON.parse(new TextDecoder().decode(Buffer.concat(chunks)));
}

/**
 * Returns the fields of the body that it was asked for, if each is a text of a sensible length: in bytes, since the
 * module stops at 320 of them.
 */
export async function fields(request: Request, longest: Record<string, number>): Promise<string[] | undefined> {
  const body = await read(request).catch(() => undefined);
  if (typeof body !== "object" || body === null) return undefined;
  const values = Object.keys(longest).map((name): unknown => (body as Record<string, unknown>)[name]);
  const limits = Object.values(longest);
  const texts = values.filter((value): value is string => typeof value === "string" && value !== "");
  return texts.length === limits.length && texts.every((text, index) => Buffer.byteLength(text) <= (limits[index] ?? 0))
    ? texts
    : undefined;
}

/** Answers a body that is not what the endpoint takes. */
export function badRequest(): Response {
  return Response.json({ error: "bad_request" }, { status: 400 });
}

/** Does the work of an endpoint if the limiter lets the attempt in; a failure of our own is not counted. */
export async function guarded(
  name: keyof Limiters,
  request: Request,
  email: string,
  work: (attempt: Attempt) => Promise<Response>,
): Promise<Response> {
  kept.limiters ??= makeLimiters();
  const attempt = await kept.limiters[name].check(proxies.client(request.headers.get("x-forwarded-for")), email);
  if (!attempt.allowed) return Response.json(REFUSAL, { status: attempt.status, headers: attempt.headers });
  try {
    return await work(attempt);
  } catch (error) {
    if (!(error instanceof DatabaseDown)) throw error;
    await attempt.refund();
    return Response.json({ error: "internal" }, { status: 500 });
  }
}
