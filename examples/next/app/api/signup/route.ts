import { register } from "../../../lib/accounts";
import { badRequest, fields, guarded } from "../../../lib/guard";

export const runtime = "nodejs";

/** Signs up. A success is not cleared: the limiter is there to stop bulk accounts. */
export async function POST(request: Request): Promise<Response> {
  const [email] = (await fields(request, { email: 320, password: 1024 })) ?? [];
  if (email === undefined) return badRequest();
  return guarded("signup", request, email, async (attempt) => {
    await register(email);
    return Response.json({ message: "Check your inbox." }, { headers: attempt.headers });
  });
}
