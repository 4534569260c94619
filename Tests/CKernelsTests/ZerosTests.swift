import CKernels
import TestSupport
import Testing

extension Kernels {
  @Suite struct ZerosTests {
    @Test(arguments: formats) func zerosOfEitherSign(type: mk_float) {
      let format = Format(type)
      for count in sizes {
        for offset in [0, 1, 3] {
          let elements = format.mixture(count, seed: count)
          let memory = Memory(format.write(elements), offset: offset)
          let zeros = atEveryLevel { mk_count_zeros(memory.pointer, count, type) }
          #expect(zeros == elements.count { $0 & (format.signBit - 1) == 0 }, "\(count) elements")
        }
      }
    }

    @Test(arguments: [1, 2, 4, 8]) func zeroWords(size: Int) {
      for count in sizes {
        for offset in [0, 1, 3] {
          var generator = Generator(count)
          let words: [[UInt8]] = (0..<count).map { _ in
            (0..<size).map { _ in generator.next() % 3 == 0 ? UInt8(truncatingIfNeeded: generator.next()) : 0 }
          }
          let memory = Memory(words.flatMap { $0 }, offset: offset)
          let zeros = atEveryLevel { mk_count_zero_words(memory.pointer, count, size) }
          #expect(zeros == words.count { $0.allSatisfy { $0 == 0 } }, "\(count) words")
        }
      }
    }

    @Test(arguments: [1, 2, 4, 8]) func nothingButZeros(size: Int) {
      let count = 1_000_003
      let memory = Memory([UInt8](repeating: 0, count: count * size), offset: 1)
      #expect(atEveryLevel { mk_count_zero_words(memory.pointer, count, size) } == count)
    }
  }
}
