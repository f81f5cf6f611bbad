// Replaces Next.js and the proxy in front of it, to run and attack the handlers without installing either. Do not copy
// it: a Next.js application needs only app/ and lib/.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import * as reset from "./app/api/reset/route";
import * as signin from "./app/api/signin/route";
import * as signup from "./app/api/signup/route";

const ROUTES = new Map([
  ["/api/signin", signin.POST],
  ["/api/signup", signup.POST],
  ["/api/reset", reset.POST],
]);

/** Converts an HTTP message to the Request that a route handler gets. */
async function received(message: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  // Like nginx with $proxy_add_x_forwarded_for: what the client sent, then the client's own address.
  headers.append("x-forwarded-for", message.socket.remoteAddress ?? "");
  return new Request(`http://localhost${message.url}`, { method: "POST", headers, body: Buffer.concat(chunks) });
}

/** Answers one request. */
async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
  const handler = ROUTES.get(message.url ?? "");
  if (handler === undefined || message.method !== "POST") {
    response.writeHead(404).end();
    return;
  }
  const answer = await handler(await received(message));
  answer.headers.forEach((value, name) => {
    response.setHeader(name, value);
  });
  response.writeHead(answer.status);
  response.end(Buffer.from(await answer.arrayBuffer()));
}

createServer((message, response) => {
  serve(message, response).catch(() => response.destroy());
}).listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1");
