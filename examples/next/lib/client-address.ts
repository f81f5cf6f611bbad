// The client's address, from what the proxies in front of Next.js say. Copy it with limiter.ts.
//
// A route handler never sees the socket. Next.js itself fills X-Forwarded-For only where the client has sent none, so
// there must be a proxy that appends the address it was called from (nginx: $proxy_add_x_forwarded_for). Without one,
// anybody can claim any address.
import { BlockList, isIP } from "node:net";

/** The proxies behind the nearest one, such as "10.0.0.0/8, 2001:db8::/32"; none if empty. */
export class TrustedProxies {
  readonly #networks = new BlockList();

  /** Reads the setting, and throws on anything that is not an address or a network. */
  constructor(setting: string) {
    for (const word of setting.split(",").map((part) => part.trim())) {
      if (word === "") continue;
      // The list itself would take "10.0.0.0/" for 10.0.0.0/0, which is everybody.
      const [, address = "", prefix] = /^([^/]+)(?:\/(\d+))?$/.exec(word) ?? [];
      const version = isIP(address);
      if (version === 0) throw new Error("TRUSTED_PROXIES: a word is neither an address nor a network");
      const bits = prefix ?? (version === 6 ? 128 : 32);
      this.#networks.addSubnet(address, Number(bits), version === 6 ? "ipv6" : "ipv4");
    }
  }

  /** Walks from our own end to the first address that is not a proxy's: beyond it stand the client's own words. */
  client(forwardedFor: string | null): string {
    const hops = (forwardedFor ?? "").split(",").map((hop) => hop.trim());
    const path = hops.filter((hop) => hop !== "");
    let address = path.pop() ?? "";
    while (path.length > 0 && this.#holds(address)) address = path.pop() ?? "";
    return address; // as it stands: the module reads it, and says so if it is not an address
  }

  /** Says whether this is one of the proxies; the list knows ::ffff:10.0.0.1 as 10.0.0.1 by itself. */
  #holds(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#networks.check(address, version === 6 ? "ipv6" : "ipv4");
  }
}
