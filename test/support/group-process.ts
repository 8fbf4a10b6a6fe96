import { appendFileSync, existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { connectCim, ReaderTaken } from "../../shared/client/connect-cim.ts";

// A member of a group, for tests that kill and pause it: <url> <journal> <hold file> <save | database file>
// It says in the journal what it handles, and stops itself between handling and saving while the hold file is there.
const [url, journal, holdFile, mode] = process.argv.slice(2) as [string, string, string, string];

const say = (line: object) => appendFileSync(journal, `${JSON.stringify({ ...line, pid: process.pid })}\n`);
const hold = (id: string) => {
  if (!existsSync(holdFile)) return;
  say({ held: id });
  process.kill(process.pid, "SIGSTOP");
};
const group = { partitions: 8, leaseMs: 2_000 };

await using cim = await connectCim({ url });
if (mode === "save") {
  const reader = cim.subscribe({ durable: "billing", group });
  for await (const event of reader) {
    say({ id: event.id, aggregate: event.aggregate });
    hold(event.id);
    try {
      await reader.save(event);
    } catch (error) {
      if (!(error instanceof ReaderTaken)) throw error;
      say({ taken: event.id });
    }
  }
} else {
  const db = new DatabaseSync(mode, { timeout: 30_000 });
  // It is killed, the machine is not: what was written need not be on the disk.
  db.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE IF NOT EXISTS handled (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, aggregate TEXT); CREATE TABLE IF NOT EXISTS place (partition INTEGER PRIMARY KEY, fence INTEGER, checkpoint TEXT)",
  );
  const claim = db.prepare(
    "INSERT INTO place VALUES (?, ?, NULL) ON CONFLICT (partition) DO UPDATE SET fence = excluded.fence WHERE fence < excluded.fence",
  );
  const place = db.prepare("SELECT checkpoint FROM place WHERE partition = ?");
  const move = db.prepare("UPDATE place SET checkpoint = ? WHERE partition = ? AND fence = ?");
  const insert = db.prepare("INSERT INTO handled (id, aggregate) VALUES (?, ?)");
  const claimed = async ({ partition, fence }: { partition: number; fence: number }) => {
    claim.run(partition, fence);
    const { checkpoint } = place.get(partition) as { checkpoint: string | null };
    return checkpoint ?? undefined;
  };
  const reader = cim.subscribe({ durable: "billing", group: { ...group, claimed } });
  for await (const event of reader) {
    const { partition, fence } = reader.claimOf(event);
    say({ id: event.id, aggregate: event.aggregate });
    hold(event.id);
    db.exec("BEGIN IMMEDIATE");
    insert.run(event.id, event.aggregate ?? "");
    const { changes } = move.run(event.checkpoint, partition, fence);
    db.exec(changes === 1 ? "COMMIT" : "ROLLBACK");
    if (changes !== 1) say({ taken: event.id });
  }
}
