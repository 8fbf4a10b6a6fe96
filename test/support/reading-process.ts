import { DatabaseSync } from "node:sqlite";
import { connectCim } from "../../shared/client/connect-cim.ts";

// A program that reads into SQLite, for tests that kill it: <url> <database> <transaction | after>
const [url, file, mode] = process.argv.slice(2) as [string, string, "transaction" | "after"];

// From the first statement on: the test looks into it meanwhile.
const db = new DatabaseSync(file, { timeout: 20_000 });
// It is killed, the machine is not: what was written need not be on the disk.
db.exec(
  "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE IF NOT EXISTS handled (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT); CREATE TABLE IF NOT EXISTS reader (name TEXT PRIMARY KEY, checkpoint TEXT)",
);
const kept = db.prepare("SELECT checkpoint FROM reader").get() as { checkpoint: string } | undefined;
const insert = db.prepare("INSERT INTO handled (id) VALUES (?)");
const keep = db.prepare("INSERT OR REPLACE INTO reader VALUES ('one', ?)");

await using cim = await connectCim({ url });
for await (const event of cim.subscribe({ from: kept?.checkpoint ?? "start" })) {
  if (mode === "transaction") db.exec("BEGIN IMMEDIATE");
  insert.run(event.id);
  keep.run(event.checkpoint);
  if (mode === "transaction") db.exec("COMMIT");
}
