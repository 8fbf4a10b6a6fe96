import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { DiscoveredNode } from "../../shared/discovery/discovered-node.ts";
import { cutServer, listenOnLoopback } from "./loopback-server.ts";

/** As `/v1/agent/service/register` takes it. */
export interface Registration {
  readonly ID: string;
  readonly Name: string;
  readonly Port: number;
  readonly Address?: string;
  readonly Tags?: readonly string[];
  readonly Meta?: Readonly<Record<string, string>>;
  readonly Check?: { readonly TTL: string; readonly Status?: string };
}

/**
 * Speaks Consul's HTTP protocol as far as it is used here: the health endpoint with blocking queries and its index, ACL
 * tokens, datacenters, the agent's registrations and TTL checks. After https://developer.hashicorp.com/consul/api-docs.
 */
export class ConsulAgent implements AsyncDisposable {
  readonly #server: Server;
  readonly #services = new Map<string, Registration>();
  readonly #waiting = new Set<() => void>();
  #index = 100;
  port = 0;
  /** Required where it is set. */
  token: string | undefined;
  hasLeader = true;
  /** Answers instead of the health endpoint. */
  garbage: string | undefined;
  /** All requests for services that came, as `index=100&wait=55s`. */
  readonly questions: string[] = [];
  readonly passed: string[] = [];

  private constructor() {
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async start(): Promise<ConsulAgent> {
    const agent = new ConsulAgent();
    await agent.listen();
    return agent;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get services(): readonly Registration[] {
    return [...this.#services.values()];
  }

  async listen(): Promise<void> {
    this.port = await listenOnLoopback(this.#server, this.port);
  }

  /** As when the agent is killed. */
  async stop(): Promise<void> {
    await cutServer(this.#server);
  }

  /** As after a snapshot was restored: the index begins lower, and who waited is answered. */
  restore(registrations: readonly Registration[]): void {
    this.#services.clear();
    for (const one of registrations) this.#services.set(one.ID, one);
    this.#index = 10;
    this.wake();
  }

  /** Answers all who wait, though nothing changed, as Consul may at any time. */
  wake(): void {
    for (const answer of [...this.#waiting]) answer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://consul");
    const refuse = (status: number, why: string) => void response.writeHead(status).end(why);
    if (this.token !== undefined && request.headers["x-consul-token"] !== this.token) {
      return refuse(
        403,
        "Permission denied: token with AccessorID '00000000-0000-0000-0000-000000000002' lacks permission",
      );
    }
    if (!this.hasLeader) return refuse(500, "No cluster leader");
    const dc = url.searchParams.get("dc");
    if (dc !== null && dc !== "dc1") return refuse(500, "No path to datacenter");
    const [, , area, verb, ...rest] = url.pathname.split("/");
    if (request.method === "GET" && area === "health" && verb === "service") {
      return this.#health(rest[0] ?? "", url.searchParams, response);
    }
    if (request.method !== "PUT" || area !== "agent") return refuse(405, "method not allowed");
    if (verb === "service" && rest[0] === "register") {
      const registration = JSON.parse(await text(request)) as Registration;
      this.#change(() => this.#services.set(registration.ID, registration));
    } else if (verb === "service" && rest[0] === "deregister") {
      this.#change(() => this.#services.delete(rest[1] ?? ""));
    } else if (verb === "check" && rest[0] === "pass") {
      const [id = ""] = rest.slice(1);
      if (!this.#services.has(id.replace(/^service:/, ""))) return refuse(404, `Unknown check ID "${id}"`);
      this.passed.push(id);
    }
    response.writeHead(200).end();
  }

  #health(service: string, query: URLSearchParams, response: ServerResponse): void {
    this.questions.push(query.toString());
    const index = Number(query.get("index") ?? 0);
    const answer = () => {
      clearTimeout(timer);
      this.#waiting.delete(answer);
      const entries = this.services.filter(({ Name }) => Name === service).map(healthEntry);
      response.writeHead(200, {
        "Content-Type": "application/json",
        "X-Consul-Index": String(this.#index),
        "X-Consul-Knownleader": "true",
        "X-Consul-Lastcontact": "0",
      });
      response.end(this.garbage ?? JSON.stringify(entries));
    };
    const waitS = Number.parseInt(query.get("wait") ?? "300", 10);
    const timer = setTimeout(answer, waitS * 1000);
    this.#waiting.add(answer);
    if (index < this.#index) answer();
    response.on("close", () => {
      clearTimeout(timer);
      this.#waiting.delete(answer);
    });
  }

  #change(how: () => void): void {
    how();
    this.#index++;
    this.wake();
  }
}

function healthEntry({ ID, Name, Port, Address = "", Tags = [], Meta = {} }: Registration) {
  return {
    Node: { ID: "0b", Node: "consul-host-1", Address: "127.0.0.1", Datacenter: "dc1", Meta: {} },
    Service: { ID, Service: Name, Tags, Address, Meta, Port, Weights: { Passing: 1, Warning: 1 } },
    Checks: [{ Node: "consul-host-1", CheckID: "serfHealth", Status: "passing" }],
  };
}

/** Makes a Consul list exactly these nodes, by its agent's own API. */
export async function listInConsul(
  address: string,
  nodes: readonly DiscoveredNode[],
  listed: Set<string>,
  service = "cim",
): Promise<void> {
  const put = async (path: string, body?: object) => {
    const init = { method: "PUT", ...(body && { body: JSON.stringify(body) }) };
    const { status } = await fetch(`http://${address}/v1/agent/service/${path}`, init);
    if (status !== 200) throw new Error(`Consul answers ${status} to ${path}`);
  };
  for (const { name, url = "nats://127.0.0.9:4222", region, capabilities = [] } of nodes) {
    const { hostname, port } = new URL(url);
    const Tags = [...(region ? [`region=${region}`] : []), ...capabilities];
    await put("register", {
      ID: name,
      Name: service,
      Address: hostname,
      Port: Number(port),
      Tags,
      Meta: { node: name },
    });
    listed.add(name);
  }
  for (const name of listed) {
    if (nodes.some((node) => node.name === name)) continue;
    await put(`deregister/${name}`);
    listed.delete(name);
  }
}
