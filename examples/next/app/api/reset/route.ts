import { mailResetLink } from "../../../lib/accounts";
import { badRequest, fields, guarded } from "../../../lib/guard";

export const runtime = "nodejs";

/**
 * Mails a reset link: the same answer whether there is such an account or not. Call attempt.success() in the endpoint
 * that changes the password, not here, where a mail was only asked for.
 */
export async function POST(request: Request): Promise<Response> {
  const [email] = (await fields(request, { email: 320 })) ?? [];
  if (email === undefined) return badRequest();
  return guarded("reset", request, email, async (attempt) => {
    await mailResetLink(email);
    const message = "If there is such an account, a mail is on its way.";
    return Response.json({ message }, { headers: attempt.headers });
  });
}
