// The page of the demo. It calls the sign-in like any client, and reads the limiter's state twice a second.

const at = (id) => document.getElementById(id);
const MEANINGS = {
  200: ["good", "Welcome. Your failed attempts are cleared."],
  401: ["warn", "Wrong password. The attempt was counted."],
  429: ["bad", "Refused. The password was not verified."],
  503: ["bad", "Redis is unreachable, and this endpoint fails closed."],
};
const SHOWN = ["Retry-After", "RateLimit-Policy", "RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];
let opensAt = 0;

/** Creates an element with a class and a text. Server data is only ever inserted as text. */
function made(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** Formats a duration for people. */
function duration(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes}:${String(seconds % 60).padStart(2, "0")} min`;
}

/** Shows the response to an attempt. */
function showAnswer(response) {
  const [kind, meaning] = MEANINGS[response.status] ?? ["bad", "Something else went wrong."];
  at("code").className = `badge ${kind}`;
  at("code").textContent = String(response.status);
  at("meaning").textContent = meaning;
  const lines = SHOWN.filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`);
  at("headers").textContent = lines.join("\n");
  at("headers").hidden = lines.length === 0;
  const item = document.createElement("li");
  item.append(made("span", `badge ${kind}`, String(response.status)));
  at("history").append(item);
  while (at("history").children.length > 24) at("history").firstElementChild.remove();
}

/** Counts down to the time when the limiter would allow another attempt. */
function tick() {
  const left = opensAt - performance.now();
  at("wait").hidden = left <= 0;
  at("countdown").textContent = duration(Math.max(left, 0));
}

/** Shows one rule, and how much of it is used. */
function ruleRow(rule) {
  const row = made("div", rule.retry_after_ms > 0 ? "rule shut" : "rule");
  row.dataset.rule = rule.words;
  const top = made("div", "top");
  const wait = rule.locked_ms > 0 ? `locked for ${duration(rule.locked_ms)}` : `opens in ${duration(rule.retry_after_ms)}`;
  const left = `${rule.remaining} of ${rule.limit} left`;
  top.append(made("span", "words", rule.words), made("span", "left", rule.retry_after_ms > 0 ? wait : left));
  const bar = document.createElement("progress");
  bar.max = rule.limit;
  bar.value = rule.retry_after_ms > 0 ? rule.limit : rule.limit - rule.remaining;
  bar.setAttribute("aria-label", `${rule.words}: used`);
  row.append(top, bar);
  return row;
}

/** Shows the limiter's state. */
function showFigures(figures) {
  at("rules").replaceChildren(...figures.rules.map(ruleRow));
  at("totals").replaceChildren(...figures.rules.map((rule) => {
    const row = document.createElement("tr");
    const cell = (className, text) => made("td", className, String(text));
    row.append(cell("words", rule.words), cell("number", rule.allowed), cell("number", rule.refused));
    return row;
  }));
  const kept = figures.subjects.map((subject) => `${subject.identities} ${subject.name}`).join(", ");
  at("memory").textContent = `Stored: ${kept}; ${(figures.bytes / 1024).toFixed(1)} KiB in total, and no email.`;
  if (document.activeElement !== at("words") && !at("words").dataset.edited) at("words").value = figures.policy;
  opensAt = performance.now() + Math.max(...figures.rules.map((rule) => rule.retry_after_ms));
  tick();
}

/** Sends JSON to an endpoint of the demo. */
function send(path, body, headers = {}) {
  return fetch(path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
}

/** Reads the limiter's state for the IP address and email on the page. */
async function refresh() {
  const who = new URLSearchParams({ ip: at("address").value, email: at("email").value });
  const response = await fetch(`/demo/figures?${who}`).catch(() => undefined);
  if (response?.ok) showFigures(await response.json());
}

at("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const credentials = { email: at("email").value, password: at("password").value };
  // In this demo, the page acts as the proxy that the application trusts.
  showAnswer(await send("/signin", credentials, { "X-Forwarded-For": at("address").value }));
  await refresh();
});
at("right").addEventListener("click", () => {
  at("password").value = at("right").textContent;
});
at("unlock").addEventListener("click", async () => {
  await send("/demo/unlock", { ip: at("address").value, email: at("email").value });
  await refresh();
});
at("words").addEventListener("input", () => {
  at("words").dataset.edited = "yes";
});
at("policy").addEventListener("submit", async (event) => {
  event.preventDefault();
  const response = await send("/demo/policy", { words: at("words").value });
  at("policy-error").hidden = response.ok;
  at("policy-error").textContent = response.ok ? "" : await response.text();
  if (response.ok) delete at("words").dataset.edited;
  await refresh();
});
for (const button of document.querySelectorAll("[data-policy]")) {
  button.addEventListener("click", () => {
    at("words").value = button.dataset.policy;
    at("policy").requestSubmit();
  });
}
at("address").addEventListener("change", refresh);
at("email").addEventListener("input", refresh);
await refresh();
setInterval(refresh, 500);
setInterval(tick, 100);
