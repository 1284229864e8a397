// A guest in AssemblyScript.

const numbers = new StaticArray<u32>(4096);
const text = new StaticArray<u8>(65536);
let result: u32 = 0; // so that nothing is left out

export function hash(): void {
  let h: u32 = 2166136261;
  for (let i = 0; i < text.length; i++) h = (h ^ text[i]) * 16777619;
  result += h;
}

export function sort(): void {
  let seed: u32 = 7;
  for (let i = 0; i < numbers.length; i++) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    numbers[i] = seed;
  }
  for (let gap = 2048; gap > 0; gap /= 2) {
    for (let i = gap; i < numbers.length; i++) {
      const v = numbers[i];
      let j = i;
      for (; j >= gap && numbers[j - gap] > v; j -= gap) numbers[j] = numbers[j - gap];
      numbers[j] = v;
    }
  }
  result += numbers[0];
}

export function strings(): void {
  let s = "";
  for (let i = 0; i < 200; i++) s += i.toString() + ",";
  result += s.split(",").length;
}

function fib(n: i32): i32 {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

export function calls(): void {
  result += fib(18);
}
