// A client for authlimit. Copy this file; it needs only node-redis (the package `redis`).
import { createClient, ErrorReply } from "redis";

/** The result of a CHECK. If not `allowed`, respond with `status`, `headers` and REFUSAL. */
export interface Attempt {
  readonly allowed: boolean;
  readonly status: 429 | 503;
  readonly headers: Readonly<Record<string, string>>;
  /** Clears the attempts of this IP address on this email. Call it after a successful sign-in. */
  success(): Promise<void>;
  /** Takes the attempt back. Call it after a failure that no client can cause. */
  refund(): Promise<void>;
}

type Verdict = [allowed: number, limit: number, remaining: number, retryAfterMs: number, resetMs: number, rule: string];

/** The body of every refusal, which must not disclose the rule. */
export const REFUSAL = { error: "try_again_later" } as const;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The Redis connection that all limiters of an application share. */
export class Connection {
  readonly #client;
  /** The server's error, if it rejected the connection, for example for a wrong password. */
  #turnedAway: ErrorReply | undefined;

  constructor(
    url: string,
    private readonly timeoutMs = 100,
  ) {
    this.#client = createClient({
      url,
      disableOfflineQueue: true, // fail at once while there is no connection
      pingInterval: 1_000, // with socketTimeout, detects a dead connection within seconds
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
    this.#client.connect().catch(() => undefined); // retried forever by reconnectStrategy
  }

  /** Sends a command. The client's own timeout ends when the command is written; this one covers the answer too. */
  async send(command: string[]): Promise<unknown> {
    if (this.#turnedAway && !this.#client.isReady) throw this.#turnedAway;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("timeout")), this.timeoutMs);
    });
    return Promise.race([this.#client.sendCommand(command), late]).finally(() => clearTimeout(timer));
  }
}

/** The limiter of one endpoint. `failMode` decides about attempts while Redis is unreachable. */
export class Limiter {
  constructor(
    private readonly connection: Connection,
    private readonly key: string,
    private readonly options: { readonly failMode: "open" | "closed" },
  ) {}

  /** Runs CHECK. Call it before you verify the password. Never throws. */
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
    const seconds = (ms: number): number => Math.ceil(ms / 1000); // rounded up, so that waiting is enough
    const headers: Record<string, string> = {};
    const window = /\/(\d+)(ms|s|m|h|d)\b/.exec(rule);
    // ALLOW and DENY verdicts have no quota: their limit and remaining are -1. A wait of -1 is for ever.
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
      // A server that returns an error has not allowed anything.
      if (error instanceof ErrorReply) {
        // Cut at the first quote: after it, Redis repeats the arguments of an unknown command.
        console.error(`rate_limit_error limiter=${this.key} reply=${message.split("'")[0]}`);
        return "error";
      }
      console.error(`rate_limit_unavailable limiter=${this.key} fail_mode=${this.options.failMode} cause=${message}`);
      return "unavailable";
    }
  }
}
