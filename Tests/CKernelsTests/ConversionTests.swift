import CKernels
import Foundation
import Testing

extension Kernels {
  @Suite struct ConversionTests {
    static let names = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]

    func format(_ name: some StringProtocol) throws -> Format {
      Format(formats[try #require(Self.names.firstIndex(of: String(name)))])
    }

    func convert(_ bytes: [UInt8], from source: Format, to target: Format, offset: Int = 0) -> [UInt8] {
      let count = bytes.count / source.size
      return atEveryLevel("\(source.type) to \(target.type), \(count) elements") {
        let memory = Memory(bytes, offset: offset)
        let result = Memory(count: count * target.size, offset: (offset + 1) % 3)
        mk_convert(result.pointer, target.type, memory.pointer, source.type, count)
        #expect(result.isFenced)
        return result.bytes
      }
    }

    // MARK: PyTorch as the judge

    func golden() throws -> [[Substring]] {
      let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens/conversions.txt")
      return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { $0.split(separator: " ") }
    }

    /// Makes NaNs comparable, as the golden file's script does.
    func canonical(_ bits: UInt64, _ format: Format) -> UInt64 {
      guard format.isNaN(bits) else { return bits }
      if format.type == MK_FLOAT16 { return bits & 0x8000 | 0x7e00 }
      return format.type == MK_BFLOAT16 ? 0x7fc0 : bits
    }

    func rounding() -> [UInt64] {
      var patterns: [UInt64] = []
      for sign in 0..<2 as Range<UInt64> {
        for exponent in 96..<146 as Range<UInt64> {
          for fraction in 0..<1024 as Range<UInt64> {
            for low in [0, 1, 0xfff, 0x1000, 0x1001] as [UInt64] {
              patterns.append(sign << 31 | exponent << 23 | fraction << 13 | low)
            }
          }
        }
      }
      return patterns
    }

    func crc32(_ bytes: [UInt8]) -> UInt32 {
      let table = (0..<256 as Range<UInt32>).map { byte in
        (0..<8).reduce(byte) { crc, _ in crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xedb8_8320 }
      }
      var crc = UInt32.max
      for byte in bytes { crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] }
      return ~crc
    }

    @Test func everyPatternAsPyTorch() throws {
      for line in try golden() where line[0] == "crc" {
        let (source, target) = (try format(line[1]), try format(line[2]))
        let patterns = line[3] == "all" ? (0..<2 * source.signBit).map { $0 } : rounding()
        if line[3] != "all" { #expect(patterns.count == Int(line[3])) }
        var bytes = convert(source.write(patterns), from: source, to: target)
        if target.size == 2 { bytes = target.write(target.read(bytes).map { canonical($0, target) }) }
        #expect(crc32(bytes) == UInt32(line[4].dropFirst(2), radix: 16), "\(line[1]) to \(line[2])")
      }
    }

    @Test func edgesAsPyTorch() throws {
      for line in try golden() where line[0] != "crc" {
        let source = try format(line[0])
        let bits = try #require(UInt64(line[1].dropFirst(2), radix: 16))
        for entry in line[2...] {
          let pair = entry.split(separator: "=")
          let target = try format(pair[0])
          // Enough copies to reach the vector code.
          let found = target.read(convert(source.write([UInt64](repeating: bits, count: 33)), from: source, to: target))
          let wanted = UInt64(pair[1].dropFirst(2), radix: 16)
          #expect(found.allSatisfy { canonical($0, target) == wanted }, "\(line[0]) \(line[1]) to \(pair[0])")
        }
      }
    }

    // MARK: Our own oracle

    @Test(arguments: formats, formats) func againstOracle(from: mk_float, to: mk_float) {
      let (source, target) = (Format(from), Format(to))
      for count in fewerSizes {
        let elements = source.mixture(count, seed: count)
        let found = target.read(convert(source.write(elements), from: source, to: target, offset: count % 3))
        let wrong = zip(elements, found).count { element, bits in
          if from == to { return bits != element }
          if source.isNaN(element) { return !target.isNaN(bits) }
          // By way of float32, as PyTorch: float64 rounds twice.
          let value = source.value(element)
          return bits != target.nearest(to == MK_FLOAT64 ? value : Double(Float(value)))
        }
        #expect(wrong == 0, "\(count) elements")
      }
    }

    /// The sign stays, save in bfloat16; float16 and wider formats keep the payload's upper bits.
    @Test func nans() {
      func convert(_ bits: UInt64, _ from: mk_float, _ to: mk_float) -> UInt64 {
        let (source, target) = (Format(from), Format(to))
        let copies = source.write([UInt64](repeating: bits, count: 19))
        let found = target.read(self.convert(copies, from: source, to: target))
        #expect(Set(found).count == 1)
        return found[0]
      }
      #expect(convert(0xff80_2001, MK_FLOAT32, MK_FLOAT16) == 0xfe01)
      #expect(convert(0xff80_0001, MK_FLOAT32, MK_BFLOAT16) == 0x7fc0)
      #expect(convert(0xff80_0001, MK_FLOAT32, MK_FLOAT8_E5M2) == 0xff)
      #expect(convert(0xff80_0001, MK_FLOAT32, MK_FLOAT8_E4M3FN) == 0xff)
      #expect(convert(0x7f80_0001, MK_FLOAT32, MK_FLOAT64) == 0x7ff8_0000_2000_0000)
      #expect(convert(0xfff0_0000_2000_0000, MK_FLOAT64, MK_FLOAT32) == 0xffc0_0001)
      #expect(convert(0xfc01, MK_FLOAT16, MK_FLOAT32) == 0xffc0_2000)
      #expect(convert(0xff81, MK_BFLOAT16, MK_FLOAT32) == 0xff81_0000)
      #expect(convert(0xff, MK_FLOAT8_E4M3FN, MK_FLOAT32) == 0xfff0_0000)
      #expect(convert(0x7d, MK_FLOAT8_E5M2, MK_FLOAT32) == 0x7fe0_0000)
    }

    @Test(arguments: formats, formats) func inPlace(from: mk_float, to: mk_float) {
      let (source, target) = (Format(from), Format(to))
      guard target.size <= source.size else { return }
      for count in fewerSizes {
        let bytes = source.write(source.mixture(count, seed: count))
        let apart = convert(bytes, from: source, to: target)
        let found = atEveryLevel {
          let memory = Memory(bytes, offset: 1)
          mk_convert(memory.pointer, to, memory.pointer, from, count)
          return [UInt8](memory.bytes.prefix(count * target.size))
        }
        #expect(found == apart, "\(count) elements")
      }
    }
  }
}
