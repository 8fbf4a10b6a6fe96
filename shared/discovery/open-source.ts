import type { Config } from "../config/index.ts";
import { isLocalName } from "../config/local-name.ts";
import type { SourceName } from "./discovered-node.ts";
import type { Source, SourceInit } from "./source.ts";
import { StaticSource } from "./static-source.ts";

type Settings = Config["discovery"];

/**
 * The sources that the methods stand for. Names in `.local` belong to multicast DNS (RFC 6762, section 3), unless
 * servers are named that know them.
 */
export function sourcesOf(settings: Settings): SourceName[] {
  const { methods, dnsQuery, dnsServers } = settings;
  const isMulticast = dnsServers.length === 0 && isLocalName(dnsQuery);
  return methods.map((method) => (method === "dns" && isMulticast ? "mdns" : method));
}

/** Makes a source; what it needs is loaded only then. */
export async function openSource(name: SourceName, settings: Settings, init: SourceInit): Promise<Source> {
  switch (name) {
    case "static":
      return new StaticSource({ ...init, staticNodes: settings.staticNodes });
    case "kubernetes": {
      const { KubernetesSource } = await import("./kubernetes/kubernetes-source.ts");
      return new KubernetesSource({ ...init, ...settings });
    }
    case "consul": {
      const { ConsulSource } = await import("./consul/consul-source.ts");
      return new ConsulSource({ ...init, ...settings });
    }
    case "dns": {
      const { DnsSource } = await import("./dns/dns-source.ts");
      return new DnsSource({ ...init, dnsQuery: settings.dnsQuery, dnsServers: settings.dnsServers });
    }
    case "mdns": {
      const { MdnsSource } = await import("./mdns/mdns-source.ts");
      return new MdnsSource({ ...init, ...settings });
    }
  }
}

/** The settings that make it this source and not another of the same kind, as text to compare. */
export function sourceOptions(name: SourceName, settings: Settings): string {
  return JSON.stringify(OPTIONS[name].map((key) => settings[key]));
}

const OPTIONS: Readonly<Record<SourceName, readonly (keyof Settings)[]>> = {
  static: ["staticNodes"],
  kubernetes: [
    "kubernetesUrl",
    "kubernetesNamespace",
    "kubernetesSelector",
    "kubernetesTokenFile",
    "kubernetesCaFile",
  ],
  consul: ["consulAddr", "consulService", "consulDatacenter", "consulTokenFile"],
  dns: ["dnsQuery", "dnsServers"],
  mdns: ["dnsQuery", "mdnsGroup", "mdnsInterfaces"],
};
