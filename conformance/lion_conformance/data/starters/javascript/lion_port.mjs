// Lion in JavaScript as a port for `lion-conformance verify --exec`; docs/reference/pipe.md is the format.
//
//     lion-conformance verify --exec "node lion_port.mjs"
//
// It takes float32 and float64. A JavaScript number is a double: float32 comes from Math.fround
// after every single operation, which gives the bits of that operation in float32, since a double
// holds more than twice as many bits as a float32.
import { createInterface } from "node:readline";

const view = new DataView(new ArrayBuffer(8));

const FORMATS = {
  float32: {
    round: Math.fround,
    decode(hex) {
      view.setUint32(0, parseInt(hex, 16));
      return view.getFloat32(0);
    },
    encode(value) {
      view.setFloat32(0, value);
      return view.getUint32(0).toString(16).padStart(8, "0");
    },
  },
  float64: {
    round: (value) => value,
    decode(hex) {
      view.setUint32(0, parseInt(hex.slice(0, 8), 16));
      view.setUint32(4, parseInt(hex.slice(8), 16));
      return view.getFloat64(0);
    },
    encode(value) {
      view.setFloat64(0, value);
      const [high, low] = [view.getUint32(0), view.getUint32(4)];
      return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
    },
  },
};

// Math.sign keeps the sign of a zero; Lion's sign does not.
const sign = (c) => (c === 0 ? 0 : Math.sign(c));

// (theta, m, g) => [theta', m'] with the scalars as they came, in double. Complements are formed
// in double; then each scalar is rounded once.
function lion(round, [lr, beta1, beta2, weightDecay]) {
  const [complement1, complement2] = [round(1 - beta1), round(1 - beta2)];
  [lr, beta1, beta2, weightDecay] = [lr, beta1, beta2, weightDecay].map((x) => round(x));
  return (theta, m, g) => {
    const a = round(beta1 * m);
    const b = round(complement1 * g);
    const u = sign(round(a + b));
    const d = round(weightDecay * theta);
    const s = round(u + d);
    const e = round(lr * s);
    const x = round(beta2 * m);
    const y = round(complement2 * g);
    return [round(theta - e), round(x + y)];
  };
}

console.log(`lion-pipe 1
name lion_port.mjs
dtypes float32 float32 float32
dtypes float64 float64 float64
semantics canonical
ready`);

let [count, format, step] = [0, null, null];
let answers = [];
for await (const line of createInterface({ input: process.stdin })) {
  const words = line.split(" ");
  if (words[0] === "step") {
    format = FORMATS[words[1]];
    count = Number(words[4]);
    step = lion(format.round, words.slice(5).map(FORMATS.float64.decode));
  } else {
    const [theta, m] = step(...words.map(format.decode));
    answers.push(`${format.encode(theta)} ${format.encode(m)}`);
    count -= 1;
  }
  if (count === 0) {
    answers.push("end\n");
    process.stdout.write(answers.join("\n"));
    answers = [];
  }
}
