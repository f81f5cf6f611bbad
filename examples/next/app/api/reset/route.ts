import { mailResetLink } from "../../../lib/accounts";
import { badRequest, fields, guarded } from "../../../lib/guard";

export const runtime = "nodejs";

/**
 * Mails a reset link. The answer is the same whether the account exists or not. Call attempt.success() in the endpoint
 * that changes the password, not here, where a mail is only requested.
 */
export async function POST(request: Request): Promise<Response> {
  const [email] = (await fields(request, { email: 320 })) ?? [];
  if (email === undefined) return badRequest();
  return guarded("reset", request, email, async (attempt) => {
    await mailResetLink(email);
    const message = "If the account exists, you will get an email.";
    return Response.json({ message }, { headers: attempt.headers });
  });
}
