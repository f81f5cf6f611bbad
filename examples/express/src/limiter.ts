// Asks authlimit whether an attempt may go ahead. This is the file to copy: it needs node-redis (the package `redis`)
// and nothing else.
import { createClient, ErrorReply } from "redis";

/** What was decided: go on if `allowed`, else answer `status` with `headers` and REFUSAL. */
export interface Attempt {
  readonly allowed: boolean;
  readonly status: 429 | 503;
  readonly headers: Readonly<Record<string, string>>;
  /** Forgives what this address spent on this email. Call it when the sign-in succeeded. */
  success(): Promise<void>;
  /** Takes the attempt back. Call it when the endpoint failed for a reason that no client can cause. */
  refund(): Promise<void>;
}

type Verdict = [allowed: number, limit: number, remaining: number, retryAfterMs: number, resetMs: number, rule: string];

/** One body for every refusal: it must not tell which rule it was. */
export const REFUSAL = { error: "try_again_later" } as const;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The connection to Redis that all limiters of an application share. */
export class Connection {
  readonly #client;
  /** Why there is no connection, if the server itself said so: a wrong password, say. */
  #turnedAway: ErrorReply | undefined;

  constructor(
    url: string,
    private readonly timeoutMs = 100,
  ) {
    this.#client = createClient({
      url,
      disableOfflineQueue: true, // fail at once while there is no connection
      pingInterval: 1_000, // with socketTimeout, notices within seconds that the other end is gone without a word
      socket: {
        connectTimeout: 1_000,
        socketTimeout: 5_000,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 1_000),
      },
    });
    // Without a listener, a lost connection would end the process.
    this.#client.on("error", (error: unknown) => {
      this.#turnedAway = error instanceof ErrorReply ? error : undefined;
    });
    this.#client.connect().catch(() => undefined); // tried again for ever, as reconnectStrategy says
  }

  /** Sends a command. The client's own time-out ends when the command is written; this one when the answer is there. */
  async send(command: string[]): Promise<unknown> {
    if (this.#turnedAway && !this.#client.isReady) throw this.#turnedAway;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("timeout")), this.timeoutMs);
    });
    return Promise.race([this.#client.sendCommand(command), late]).finally(() => clearTimeout(timer));
  }
}

/** The limiter of one endpoint. `failMode` says what happens to attempts while Redis cannot be reached. */
export class Limiter {
  constructor(
    private readonly connection: Connection,
    private readonly key: string,
    private readonly options: { readonly failMode: "open" | "closed" },
  ) {}

  /** Asks and counts, before the password is verified. Never throws. */
  async check(ip: string, email: string): Promise<Attempt> {
    const reply = await this.#send("AUTHLIMIT.CHECK", ip, email);
    const away = reply === "unavailable";
    const [allowed, headers] = Array.isArray(reply)
      ? this.#read(reply as Verdict)
      : [away && this.options.failMode === "open", {}];
    const counted = allowed && "RateLimit" in headers;
    return {
      allowed,
      status: away ? 503 : 429,
      headers,
      success: async () => void (await this.#send("AUTHLIMIT.RESET", ip, email)),
      refund: async () => void (counted && (await this.#send("AUTHLIMIT.REFUND", ip, email))),
    };
  }

  #read([allowed, limit, remaining, retryAfterMs, resetMs, rule]: Verdict): [boolean, Record<string, string>] {
    const seconds = (ms: number): number => Math.ceil(ms / 1000); // nobody who waits as told comes too early
    const headers: Record<string, string> = {};
    const window = /\/(\d+)(ms|s|m|h|d)\b/.exec(rule);
    // The verdicts of the lists, ALLOW and DENY, have no quota.
    if (window) {
      const length = Number(window[1]) * (UNIT_MS[window[2] ?? ""] ?? 0);
      headers["RateLimit-Policy"] = `"${this.key}";q=${limit};w=${seconds(length)}`;
      headers.RateLimit = `"${this.key}";r=${remaining};t=${seconds(resetMs)}`;
      const older = { Limit: limit, Remaining: remaining, Reset: seconds(resetMs) };
      for (const [name, value] of Object.entries(older)) headers[`RateLimit-${name}`] = String(value);
    }
    if (allowed === 0 && retryAfterMs > 0) headers["Retry-After"] = String(seconds(retryAfterMs));
    return [allowed === 1, headers];
  }

  async #send(command: string, ip: string, email: string): Promise<unknown> {
    try {
      return await this.connection.send([command, this.key, ip, email]);
    } catch (error) {
      const message = error instanceof Error ? error.message : "unknown";
      // A server that answers with an error has not allowed anything.
      if (error instanceof ErrorReply) {
        // Up to the first quote: after it Redis repeats the arguments of a command that it does not know.
        console.error(`rate_limit_error limiter=${this.key} reply=${message.split("'")[0]}`);
        return "error";
      }
      console.error(`rate_limit_unavailable limiter=${this.key} fail_mode=${this.options.failMode} cause=${message}`);
      return "unavailable";
    }
  }
}
