/** What the reply subject of a delivered message says of it (`$JS.ACK.…`, nats-server's ack format, versions 1 and 2). */
export interface StoredAt {
  readonly streamSeq: number;
  readonly consumerSeq: number;
  readonly timeUs: number;
  readonly pending: number;
}

export function parseStoredAt(reply: string): StoredAt | undefined {
  const tokens = reply.split(".");
  // $JS.ACK.<stream>.<consumer>.<delivered>.<sseq>.<cseq>.<time>.<pending>, version 2 with domain and account in front
  const at = tokens.length === 9 ? 5 : 7;
  if (tokens.length < 9 || tokens[0] !== "$JS" || tokens[1] !== "ACK") return undefined;
  return {
    streamSeq: Number(tokens[at]),
    consumerSeq: Number(tokens[at + 1]),
    timeUs: Number((tokens[at + 2] as string).slice(0, -3)),
    pending: Number(tokens[at + 3]),
  };
}
