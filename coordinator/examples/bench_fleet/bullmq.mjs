// A no-op load through BullMQ: `node bullmq.mjs PORT TASKS`. Workers are in a process of their own, as producers are.
import { fork } from "node:child_process";
import { Queue, Worker } from "bullmq";

const [port, tasks, role] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const clients = 4;
const submitsAtATime = 32;
const workers = 4;
const slots = 64;

if (role === "worker") {
  let left = Number(tasks);
  const done = () => {
    left -= 1;
    if (left === 0) process.send("done");
  };
  const running = [];
  for (let index = 0; index < workers; index += 1) {
    const worker = new Worker("bench", async () => {}, { connection, concurrency: slots });
    worker.on("completed", done);
    running.push(worker.waitUntilReady());
  }
  await Promise.all(running);
  process.send("ready");
} else {
  const child = fork(process.argv[1], [port, tasks, "worker"]);
  const told = (word) =>
    new Promise((resolve, reject) => {
      child.on("message", (message) => message === word && resolve());
      child.on("exit", (code) => reject(new Error(`the workers ended with ${code}`)));
    });
  await told("ready");
  const done = told("done");
  const began = performance.now();
  let next = 0;
  const submit = async (queue) => {
    while (next < Number(tasks)) {
      next += 1;
      await queue.add("draw", { prompt: "a castle by the sea", user: next % 100 });
    }
  };
  const submitting = [];
  for (let index = 0; index < clients; index += 1) {
    const queue = new Queue("bench", { connection });
    for (let at = 0; at < submitsAtATime; at += 1) submitting.push(submit(queue));
  }
  await Promise.all(submitting);
  await done;
  const seconds = (performance.now() - began) / 1000;
  console.log(JSON.stringify({ tasks_per_second: Number(tasks) / seconds }));
  child.kill();
  process.exit(0);
}
