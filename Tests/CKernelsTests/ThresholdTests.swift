import CKernels
import Testing

extension Kernels {
  @Suite struct ThresholdTests {
    struct Outcome: Equatable {
      var bytes: [UInt8]
      var ties: Int
    }

    func zero(_ format: Format, _ elements: [UInt64], _ magnitude: Double, _ ties: Int, offset: Int, inPlace: Bool)
      -> Outcome
    {
      let source = Memory(format.write(elements), offset: offset)
      let target = inPlace ? source : Memory(count: source.count, offset: (offset + 1) % 3)
      var threshold = mk_threshold(magnitude: magnitude, ties: ties)
      mk_zero_smallest(target.pointer, source.pointer, elements.count, format.type, &threshold)
      #expect(target.isFenced)
      #expect(threshold.magnitude == magnitude || magnitude.isNaN)
      return Outcome(bytes: target.bytes, ties: threshold.ties)
    }

    func expected(_ format: Format, _ elements: [UInt64], _ magnitude: Double, _ ties: Int) -> Outcome {
      var left = ties
      let zeroed = elements.map { element -> UInt64 in
        let own = format.magnitude(element)
        if own < magnitude || (magnitude.isNaN && !own.isNaN) { return 0 }
        guard left > 0, own == magnitude || (own.isNaN && magnitude.isNaN) else { return element }
        left -= 1
        return 0
      }
      return Outcome(bytes: format.write(zeroed), ties: left)
    }

    @Test(arguments: formats) func againstOracle(type: mk_float) {
      let format = Format(type)
      for count in sizes {
        let elements = format.mixture(count, seed: count)
        let some = elements.isEmpty ? 0 : format.magnitude(elements[count / 2])
        let all: [Double] = [0, some, 0.3, 1, .infinity, .nan, format.magnitude(0x31)]
        for magnitude in count > 2000 ? [format.magnitude(0x31)] : all {
          for ties in [0, 1, count / 20, count] {
            let wanted = expected(format, elements, magnitude, ties)
            for (offset, inPlace) in [(0, true), (1, false)] {
              let found = atEveryLevel("\(count) elements") {
                zero(format, elements, magnitude, ties, offset: offset, inPlace: inPlace)
              }
              #expect(found == wanted, "\(count) elements, magnitude \(magnitude), \(ties) ties")
            }
          }
        }
      }
    }

    /// A magnitude from another span's format may lie between two numbers of this one, or beyond them all.
    @Test(arguments: formats) func magnitudesOfOtherFormats(type: mk_float) {
      let format = Format(type)
      let elements = format.mixture(1009, seed: 3) + (0..<16).map { $0 }
      let magnitudes: [Double] = [
        .leastNonzeroMagnitude, 1e-300, 1e-45, 1e-40, 1e-8, 0.1, 1 / 3, 447.9, 448.1, 65504.5, 1e30, 1e300,
      ]
      for magnitude in magnitudes {
        let found = atEveryLevel { zero(format, elements, magnitude, 1000, offset: 0, inPlace: false) }
        #expect(found == expected(format, elements, magnitude, 1000), "\(magnitude)")
      }
    }

    @Test func spansShareTheirTies() {
      let format = Format(MK_FLOAT32)
      let parts = (0..<7).map { part in (0..<97).map { format.nearest(Double(($0 * 31 + part) % 5)) } }
      let memories = parts.map { Memory(format.write($0)) }
      let spans = memories.map { mk_span(data: $0.pointer, count: 97, type: MK_FLOAT32) }
      for k in [1, 50, 300, 679] {
        var threshold = mk_threshold()
        #expect(mk_select_smallest(spans, spans.count, k, &threshold))
        let wanted = expected(format, parts.flatMap { $0 }, threshold.magnitude, threshold.ties)
        var found: [UInt8] = []
        for memory in memories {
          let target = Memory(count: memory.count)
          mk_zero_smallest(target.pointer, memory.pointer, 97, MK_FLOAT32, &threshold)
          found += target.bytes
        }
        #expect(threshold.ties == 0)
        #expect(found == wanted.bytes)
        let lost = zip(format.read(found), parts.flatMap { $0 }).count { $0 != $1 }
        #expect(lost == max(0, k - parts.joined().count { $0 == 0 }))
      }
    }
  }
}
