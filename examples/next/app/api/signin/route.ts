import { verify } from "../../../lib/accounts";
import { badRequest, fields, guarded } from "../../../lib/guard";

export const runtime = "nodejs"; // ioredis needs sockets, which the edge runtime does not have

/** Signs in: counts the attempt before verifying the password, and clears it on success. */
export async function POST(request: Request): Promise<Response> {
  const [email, password] = (await fields(request, { email: 320, password: 1024 })) ?? [];
  if (email === undefined || password === undefined) return badRequest();
  return guarded("signin", request, email, async (attempt) => {
    if (!(await verify(email, password))) {
      return Response.json({ error: "wrong_credentials" }, { status: 401, headers: attempt.headers });
    }
    await attempt.success();
    return Response.json({ ok: true }, { headers: attempt.headers });
  });
}
