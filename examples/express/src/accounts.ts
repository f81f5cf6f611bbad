// Stands in for your user database, mailer and password hashing. Nothing here is to be copied.
import { createHash, timingSafeEqual } from "node:crypto";

const PASSWORDS = new Map([["alice@example.com", "correct horse battery staple"]]);
const OUTAGE = "outage@example.com";

/** The database cannot be reached: a failure of ours, which no client can cause. */
export class DatabaseDown extends Error {}

/** Fails for one email as if the database were down, so that the refund can be seen. */
function reach(email: string): void {
  if (email === OUTAGE) throw new DatabaseDown("the database is down");
}

/** Says whether the password is the account's. */
export async function verify(email: string, password: string): Promise<boolean> {
  reach(email);
  const stored = PASSWORDS.get(email);
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return stored !== undefined && timingSafeEqual(digest(stored), digest(password));
}

/** Makes an account that waits for its confirmation, or mails the owner of one that is there already. */
export async function register(email: string): Promise<void> {
  reach(email);
}

/** Puts a job into a queue. A worker looks the email up later, so that not even the time tells whether it exists. */
export async function mailResetLink(email: string): Promise<void> {
  reach(email);
}
