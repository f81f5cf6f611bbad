import { register } from "../../../lib/accounts";
import { badRequest, fields, guarded } from "../../../lib/guard";

export const runtime = "nodejs";

/** Signs up. A success is not forgiven: accounts made in bulk are what the limiter is for. */
export async function POST(request: Request): Promise<Response> {
  const [email] = (await fields(request, { email: 320, password: 1024 })) ?? [];
  if (email === undefined) return badRequest();
  return guarded("signup", request, email, async (attempt) => {
    await register(email);
    return Response.json({ message: "Look into your inbox." }, { headers: attempt.headers });
  });
}
