// The client's IP address, as the proxies in front of Next.js report it. Copy it with limiter.ts.
//
// A route handler has no access to the socket. Next.js sets X-Forwarded-For only if the client has not sent it, so you
// need a proxy that appends the address of its client (nginx: $proxy_add_x_forwarded_for). Without one, anyone can
// forge any address.
import { BlockList, isIP } from "node:net";

/** The proxies behind the nearest one, such as "10.0.0.0/8, 2001:db8::/32"; can be empty. */
export class TrustedProxies {
  readonly #networks = new BlockList();

  /** Parses the setting, and throws on anything that is not an IP address or a network. */
  constructor(setting: string) {
    for (const word of setting.split(",").map((part) => part.trim())) {
      if (word === "") continue;
      // BlockList would read "10.0.0.0/" as 10.0.0.0/0, which is everybody.
      const [, address = "", prefix] = /^([^/]+)(?:\/(\d+))?$/.exec(word) ?? [];
      const version = isIP(address);
      if (version === 0) throw new Error("TRUSTED_PROXIES: a word is neither an IP address nor a network");
      const bits = prefix ?? (version === 6 ? 128 : 32);
      this.#networks.addSubnet(address, Number(bits), version === 6 ? "ipv6" : "ipv4");
    }
  }

  /** Returns the first entry from the right that is not a proxy: the client can forge everything left of it. */
  client(forwardedFor: string | null): string {
    const hops = (forwardedFor ?? "").split(",").map((hop) => hop.trim());
    const path = hops.filter((hop) => hop !== "");
    let address = path.pop() ?? "";
    while (path.length > 0 && this.#holds(address)) address = path.pop() ?? "";
    return address; // not parsed here: the module rejects anything that is not an IP address
  }

  /** Returns whether this is one of the proxies. BlockList treats ::ffff:10.0.0.1 as 10.0.0.1. */
  #holds(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#networks.check(address, version === 6 ? "ipv6" : "ipv4");
  }
}
