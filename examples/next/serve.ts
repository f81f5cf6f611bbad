// Stands in for Next.js and the proxy in front of it, so that the handlers can be run and attacked without installing
// either. Not to be copied: in a Next.js application, app/ and lib/ are all there is.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import * as reset from "./app/api/reset/route";
import * as signin from "./app/api/signin/route";
import * as signup from "./app/api/signup/route";

const ROUTES = new Map([
  ["/api/signin", signin.POST],
  ["/api/signup", signup.POST],
  ["/api/reset", reset.POST],
]);

/** Makes of a request on the wire what a route handler is given. */
async function received(message: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  // As nginx does with $proxy_add_x_forwarded_for: whatever the client wrote, then where it called from.
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
