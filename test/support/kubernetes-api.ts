import {
  createServer as createHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import type { DiscoveredNode } from "../../shared/discovery/discovered-node.ts";
import { cutServer, listenOnLoopback } from "./loopback-server.ts";

type Slice = {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
} & Readonly<Record<string, unknown>>;

interface Change {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: object;
}

/**
 * Speaks Kubernetes' protocol for EndpointSlices: lists in pages, watches from a resource version, bookmarks, forgetting
 * of old versions (410, as a status or within the watch), bearer tokens. After https://kubernetes.io/docs/reference/using-api/api-concepts/.
 */
export class KubernetesApi implements AsyncDisposable {
  readonly #server: Server;
  readonly #scheme: "http" | "https";
  readonly #slices = new Map<string, Slice>();
  readonly #watchers = new Map<ServerResponse, URLSearchParams>();
  #changes: Change[] = [];
  #version = 1000;
  /** Versions up to this one are no longer remembered. */
  #forgotten = 0;
  port = 0;
  token: string | undefined;
  /** Slices on a page, whatever is asked for. */
  pageSize = 500;
  /** Answers every question with this. */
  garbage: string | undefined;
  /** All questions that came, without the label selector. */
  readonly questions: string[] = [];

  private constructor(tls: { readonly key: string; readonly cert: string } | undefined) {
    const handle = (request: IncomingMessage, response: ServerResponse) => this.#handle(request, response);
    this.#server = tls ? createHttps(tls, handle) : createHttp(handle);
    this.#scheme = tls ? "https" : "http";
  }

  static async start(tls?: { readonly key: string; readonly cert: string }): Promise<KubernetesApi> {
    const api = new KubernetesApi(tls);
    await api.listen();
    return api;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  async listen(): Promise<void> {
    this.port = await listenOnLoopback(this.#server, this.port);
  }

  async stop(): Promise<void> {
    await cutServer(this.#server);
  }

  /** One slice for each node, as if each had a Service of its own. */
  list(nodes: readonly DiscoveredNode[]): void {
    for (const node of nodes) this.put(sliceOf(node));
    for (const name of [...this.#slices.keys()]) {
      if (!nodes.some((node) => `${node.name}-slice` === name)) this.remove(name);
    }
  }

  put(slice: Slice): void {
    const { name } = slice.metadata;
    const before = this.#slices.get(name);
    if (before && JSON.stringify(before) === JSON.stringify(slice)) return;
    this.#slices.set(name, slice);
    this.#change(before ? "MODIFIED" : "ADDED", slice);
  }

  remove(name: string): void {
    const slice = this.#slices.get(name);
    if (!slice || !this.#slices.delete(name)) return;
    this.#change("DELETED", slice);
  }

  /** Only the version moves on, as by changes elsewhere in the cluster; watchers are told by a bookmark. */
  bookmark(): void {
    this.#version++;
    const metadata = { resourceVersion: String(this.#version) };
    this.#tell({ type: "BOOKMARK", object: { kind: "EndpointSlice", metadata } });
  }

  /** Ends all watches, as a server does after a while. */
  endWatches(): void {
    for (const response of this.#watchers.keys()) response.end();
    this.#watchers.clear();
  }

  /** Forgets what was, as etcd's compaction does. `told`: those who watch are told so; else they find out. */
  compact(told: boolean): void {
    this.#forgotten = ++this.#version;
    this.#changes = [];
    if (told) this.#tell({ type: "ERROR", object: gone() });
    this.endWatches();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://kubernetes");
    const query = url.searchParams;
    const answer = (status: number, body: object | string) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    };
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      return void answer(401, { kind: "Status", status: "Failure", message: "Unauthorized", code: 401 });
    }
    const isKnown = /^\/apis\/discovery\.k8s\.io\/v1\/namespaces\/(default|fleet)\/endpointslices$/.test(
      url.pathname,
    );
    if (!isKnown)
      return void answer(403, { kind: "Status", message: "endpointslices is forbidden", code: 403 });
    const selector = query.get("labelSelector");
    query.delete("labelSelector");
    this.questions.push(query.toString());
    if (this.garbage !== undefined) return void answer(200, this.garbage);
    if (query.get("watch") !== "1") return void answer(200, this.#page(query, selector));
    const from = Number(query.get("resourceVersion"));
    if (from < this.#forgotten) return void answer(410, gone());
    response.writeHead(200, { "Content-Type": "application/json" });
    response.flushHeaders();
    this.#watchers.set(response, query);
    response.on("close", () => this.#watchers.delete(response));
    for (const change of this.#changes.filter(({ version }) => version > from)) send(response, change);
  }

  #page(query: URLSearchParams, selector: string | null) {
    const [key, value] = (selector ?? "").split("=");
    const matching = [...this.#slices.values()].filter(
      ({ metadata }) => metadata.labels[key ?? ""] === value,
    );
    const from = Number(query.get("continue") ?? 0);
    const size = Math.min(this.pageSize, Number(query.get("limit") ?? 500));
    const next = from + size < matching.length ? String(from + size) : "";
    const items = matching.slice(from, from + size).map((slice) => versioned(slice, this.#version));
    const metadata = { resourceVersion: String(this.#version), continue: next };
    return { kind: "EndpointSliceList", apiVersion: "discovery.k8s.io/v1", metadata, items };
  }

  #change(type: Change["type"], slice: Slice): void {
    const version = ++this.#version;
    const change = { version, type, object: versioned(slice, version) };
    this.#changes.push(change);
    this.#tell(change);
  }

  #tell(event: { readonly type: string; readonly object: object }): void {
    for (const response of this.#watchers.keys()) send(response, event);
  }
}

function send(
  response: ServerResponse,
  { type, object }: { readonly type: string; readonly object: object },
): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}

const gone = () => ({
  kind: "Status",
  status: "Failure",
  message: "too old resource version",
  reason: "Expired",
  code: 410,
});

const versioned = (slice: Slice, version: number) => ({
  ...slice,
  metadata: { ...slice.metadata, resourceVersion: String(version) },
});

export function sliceOf({
  name,
  url = "nats://127.0.0.9:4222",
  region,
  capabilities = [],
}: DiscoveredNode): Slice {
  const { hostname, port } = new URL(url);
  const labels = Object.fromEntries(capabilities.map((one) => [`capability.cim/${one}`, "true"]));
  return {
    metadata: { name: `${name}-slice`, labels: { ...labels, "kubernetes.io/service-name": "cim" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [hostname], hostname: name, zone: region, conditions: { ready: true } }],
    ports: [{ name: "nats", port: Number(port), protocol: "TCP" }],
  };
}
