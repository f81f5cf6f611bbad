// A placeholder for your user database, mailer and password hashing. Do not copy it.
import { createHash, timingSafeEqual } from "node:crypto";

const PASSWORDS = new Map([["alice@example.com", "correct horse battery staple"]]);
const OUTAGE = "outage@example.com";

/** The database cannot be reached: a failure on our side, which no client can cause. */
export class DatabaseDown extends Error {}

/** Fails for one email as if the database were down, to show the refund. */
function reach(email: string): void {
  if (email === OUTAGE) throw new DatabaseDown("the database is down");
}

/** Returns whether the password is correct. */
export async function verify(email: string, password: string): Promise<boolean> {
  reach(email);
  const stored = PASSWORDS.get(email);
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return stored !== undefined && timingSafeEqual(digest(stored), digest(password));
}

/** Creates an unconfirmed account, or mails the owner of an existing one. */
export async function register(email: string): Promise<void> {
  reach(email);
}

/** Queues a job. A worker looks the email up later, so the response time does not disclose whether it exists. */
export async function mailResetLink(email: string): Promise<void> {
  reach(email);
}
