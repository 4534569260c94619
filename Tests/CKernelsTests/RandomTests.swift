import CKernels
import Testing

extension Kernels {
  /// Plain C and vectors give the same numbers; ModelCoreTests compares them with torch's.
  @Suite struct RandomTests {
    /// Words of a seed, and the bytes that `draw` leaves in memory of its size.
    func run(_ seed: UInt32, count: Int, used: Int = 624, _ draw: (UnsafeMutablePointer<mk_twister>, Memory) -> Void)
      -> [UInt8]
    {
      atEveryLevel("\(count)") {
        var words = [UInt32](repeating: 0, count: 624)
        mk_twister_seed(&words, seed)
        let memory = Memory(count: count, offset: 4)
        let used = words.withUnsafeMutableBufferPointer { words in
          var twister = mk_twister(words: words.baseAddress, used: used)
          draw(&twister, memory)
          return twister.used
        }
        #expect(memory.isFenced)
        return memory.bytes + words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
          + [UInt8(truncatingIfNeeded: used), UInt8(used >> 8)]
      }
    }

    static let types = [MK_FLOAT64, MK_FLOAT32, MK_FLOAT16, MK_BFLOAT16]
    static let sizes = [0, 1, 7, 15, 16, 17, 31, 32, 33, 624, 625, 1009, 1039, 2500]

    @Test func draws() {
      for size in Self.sizes {
        let all = run(7, count: size * 4) { mk_twister_draw($0, $1.pointer.assumingMemoryBound(to: UInt32.self), size) }
        let parts = run(7, count: size * 4) { twister, memory in
          let words = memory.pointer.assumingMemoryBound(to: UInt32.self)
          for index in 0..<size { mk_twister_draw(twister, words + index, 1) }
        }
        #expect(all == parts, "\(size)")
      }
    }

    @Test(arguments: types) func uniform(type: mk_float) {
      for size in Self.sizes {
        for (from, to) in [(0.0, 1.0), (-0.3, 0.7), (2, 2)] {
          _ = run(3, count: size * Format(type).size) { mk_torch_uniform($0, $1.pointer, size, type, from, to) }
        }
      }
    }

    @Test(arguments: types) func normal(type: mk_float) {
      for size in Self.sizes where size >= 16 {
        for (mean, deviation) in [(0.0, 1.0), (-2.5, 0.02), (1, 0)] {
          _ = run(5, count: size * Format(type).size) { mk_torch_normal($0, $1.pointer, size, type, mean, deviation) }
        }
      }
    }

    @Test(arguments: [1, 2, 4, 8]) func integers(size: Int) {
      for range: UInt64 in [1, 3, 256, 1 << 28 - 1, 1 << 28, 1 << 40, 0] {
        _ = run(1, count: 101 * size) { mk_torch_integers($0, $1.pointer, 101, size, range, -7) }
      }
    }

    @Test func replacement() {
      for type in Self.types {
        let format = Format(type)
        for size in [0, 1, 1023, 1024, 1025, 3000] {
          let (old, new) = (format.weights(size, seed: 1), format.weights(size, seed: 2))
          let target = Memory(format.write(old))
          let source = Memory(format.write(new))
          let outside = mk_replace_outside(target.pointer, source.pointer, size, type, -0.1, 0.2)
          func isOutside(_ bits: UInt64) -> Bool { format.value(bits) < -0.1 || format.value(bits) > 0.2 }
          let wanted = zip(old, new).map { isOutside($0) ? $1 : $0 }
          #expect(format.read(target.bytes) == wanted && target.isFenced)
          #expect(outside == wanted.count(where: isOutside))
          #expect(mk_replace_outside(target.pointer, nil, size, type, -0.1, 0.2) == outside)
        }
      }
    }
  }
}
