import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { inOneLine, openHttp, readBody } from "../http-ask.ts";

/** The API server can't be asked, or refuses; the message is one line. */
export class KubernetesUnusable extends Error {
  override readonly name = "KubernetesUnusable";
}

/** 410: what was asked for is no longer known by the server; the list must be read again. */
export class KubernetesGone extends Error {
  override readonly name = "KubernetesGone";
}

export interface KubernetesPlace {
  readonly kubernetesUrl: string;
  readonly kubernetesNamespace: string;
  /** Label selector of the EndpointSlices. */
  readonly kubernetesSelector: string;
  /** Both are read for each question: the cluster replaces the token every hour. null: none. */
  readonly kubernetesTokenFile: string | null;
  readonly kubernetesCaFile: string | null;
}

/**
 * Asks for EndpointSlices. Gives the answer from its first byte on; who does not read it to its end destroys it.
 *
 * @param signal ends the question and the reading of its answer
 * @throws KubernetesUnusable, KubernetesGone, and the signal's reason when it ends the wait
 */
export async function openSlices(
  place: KubernetesPlace,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { kubernetesUrl, kubernetesNamespace, kubernetesSelector } = place;
  const { kubernetesTokenFile: tokenFile, kubernetesCaFile: caFile } = place;
  const namespace = encodeURIComponent(kubernetesNamespace);
  const url = new URL(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, kubernetesUrl);
  for (const [key, value] of Object.entries({ labelSelector: kubernetesSelector, ...query })) {
    url.searchParams.set(key, value);
  }
  let response: IncomingMessage;
  try {
    const token = tokenFile === null ? undefined : (await readFile(tokenFile, "utf8")).trim();
    const ca = caFile === null || url.protocol !== "https:" ? undefined : await readFile(caFile, "utf8");
    response = await openHttp({
      url,
      headers: { Accept: "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
      ...(ca !== undefined && { ca }),
      signal,
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw new KubernetesUnusable(`Kubernetes at ${kubernetesUrl}: ${inOneLine(cause)}`, { cause });
  }
  const { statusCode: status = 0 } = response;
  if (status === 200) return response;
  const said = inOneLine(messageOf(await readBody(response).catch(() => "")));
  if (status === 410) throw new KubernetesGone(said);
  throw new KubernetesUnusable(`Kubernetes at ${kubernetesUrl} answers ${status}: ${said}`);
}

/** The lines of a watch, as they come. @throws Error when one has no end */
export async function* linesOf(response: IncomingMessage, longest: number): AsyncGenerator<string> {
  let rest = "";
  response.setEncoding("utf8");
  for await (const chunk of response as AsyncIterable<string>) {
    rest += chunk;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > longest) throw new Error(`a line of more than ${longest} characters`);
    for (const line of lines) if (line.trim() !== "") yield line;
  }
}

/** Kubernetes says what is wrong in a Status object. */
function messageOf(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === "string" ? message : body;
  } catch {
    return body;
  }
}
