import { expect, it } from "vitest";
import { type OutgoingMessage, writeAtomically } from "../../shared/nats/batch-publisher.ts";
import { connectNats } from "../../shared/nats/connect.ts";
import { getMessages } from "../../shared/nats/get-message.ts";
import { jetStreamApi, streamState } from "../../shared/nats/jetstream-api.ts";
import { startNatsServer } from "../support/nats-server.ts";

async function withStream(use: (nc: Awaited<ReturnType<typeof connectNats>>) => Promise<void>) {
  await using server = await startNatsServer();
  const nc = await connectNats({ url: server.url, name: "writer" });
  try {
    const config = { name: "S", subjects: ["a.>"], storage: "file", allow_atomic: true, allow_direct: true };
    await jetStreamApi(nc, "STREAM.CREATE.S", config);
    await use(nc);
  } finally {
    await nc.close();
  }
}

it("a batch is stored as it was given, whatever is in it and however large", () =>
  withStream(async (nc) => {
    const sizes = [0, 1, 3000, 64 * 1024, 200_000, 7];
    const messages = Array.from({ length: 120 }, (_, at): OutgoingMessage => {
      const body = Buffer.alloc(sizes[at % sizes.length] as number, `${at} ü`);
      return {
        subject: `a.Zürich.${at}`,
        headerText: at % 3 === 0 ? "" : `X-Where: Zürich ⛰ ${at}\r\n`,
        body,
      };
    });
    expect(await writeAtomically(nc, messages)).toMatchObject({ kind: "stored", lastSeq: 120 });
    const stored = await getMessages(
      nc,
      "S",
      { seq: 1, next_by_subj: "a.>" },
      { inboxPrefix: "_INBOX", timeoutMs: 60_000 },
    );
    expect(stored).toHaveLength(120);
    for (const [at, { subject, headerText, body }] of stored.entries()) {
      const given = messages[at] as OutgoingMessage;
      expect(subject).toBe(given.subject);
      expect(Buffer.compare(body, given.body)).toBe(0);
      expect(headerText).toContain(given.headerText);
    }
  }));

it.each([
  ["a subject in two words", { subject: "a.b c", headerText: "", body: Buffer.from("x") }],
  ["more than the server takes", { subject: "a.b", headerText: "", body: Buffer.alloc(2 * 1024 * 1024) }],
])("a batch with %s is not sent at all, and the connection stays", (_, wrong) =>
  withStream(async (nc) => {
    const right = { subject: "a.b", headerText: "", body: Buffer.from("x") };
    await expect(writeAtomically(nc, [right, wrong, right])).rejects.toThrow(RangeError);
    expect(await writeAtomically(nc, [right, right, right])).toMatchObject({ kind: "stored", lastSeq: 3 });
    expect((await streamState(nc, "S")).messages).toBe(3);
  }),
);
