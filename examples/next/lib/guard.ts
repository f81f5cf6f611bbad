// Shared by the three route handlers: the limiters, the client's IP address, and the responses.
import { DatabaseDown } from "./accounts";
import { TrustedProxies } from "./client-address";
import { type Attempt, Connection, Limiter, REFUSAL } from "./limiter";

/** Creates the limiters. Called on first use, since `next build` loads this module too. */
function makeLimiters() {
  const redis = new Connection(
    process.env.REDIS_URL ?? "redis://127.0.0.1:6379",
    Number(process.env.LIMITER_TIMEOUT_MS ?? 100),
  );
  return {
    // While Redis is unreachable, sign-in and reset fail closed (no brute force, no mail floods); sign-up fails open.
    signin: new Limiter(redis, "signin", { failMode: "closed" }),
    signup: new Limiter(redis, "signup", { failMode: "open" }),
    reset: new Limiter(redis, "reset", { failMode: "closed" }),
  };
}

type Limiters = ReturnType<typeof makeLimiters>;

// `next dev` reloads modules at every change, and would leak a connection each time.
const kept = globalThis as { limiters?: Limiters };
const proxies = new TrustedProxies(process.env.TRUSTED_PROXIES ?? "");

const LONGEST_BODY = 10 * 1024;

/** Reads at most LONGEST_BODY bytes of the body: Next.js itself accepts any length. */
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
 * Returns the requested fields of the body if each is text and not too long. In bytes, since the module normalises only
 * 320 bytes of an email.
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

/** Answers an invalid body. */
export function badRequest(): Response {
  return Response.json({ error: "bad_request" }, { status: 400 });
}

/** Runs the work of an endpoint if the limiter allows the attempt. A failure on our side is not counted. */
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
