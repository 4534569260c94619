import CKernels
import Testing

extension Kernels {
  @Suite struct GroupsTests {
    func expected(
      _ format: Format, _ elements: [UInt64], outer: Int, axis: Int, inner: Int, keep: Int, group: Int
    ) -> [UInt64] {
      var kept = elements
      for o in 0..<outer {
        for i in 0..<inner {
          for start in stride(from: 0, to: axis, by: group) {
            let places = (start..<min(start + group, axis)).map { (o * axis + $0) * inner + i }
            let order = places.sorted { a, b in
              let (x, y) = (format.magnitude(elements[a]), format.magnitude(elements[b]))
              if x.isNaN || y.isNaN { return x.isNaN == y.isNaN ? a < b : y.isNaN }
              return x == y ? a < b : x < y
            }
            for place in order.dropLast(keep) { kept[place] = 0 }
          }
        }
      }
      return kept
    }

    @Test(arguments: formats) func againstOracle(type: mk_float) {
      let format = Format(type)
      for (outer, axis, inner) in [(3, 16, 1), (2, 17, 1), (5, 8, 9), (1, 7, 33), (2, 64, 3), (1, 130, 1), (4, 3, 70)] {
        let elements = format.mixture(outer * axis * inner, seed: axis + inner)
        for (keep, group) in [(2, 4), (1, 4), (4, 8), (1, 1), (0, 4), (5, 4), (3, 7), (32, 64), (1, 2)] {
          let wanted = expected(
            format, elements, outer: outer, axis: axis, inner: inner, keep: keep, group: group)
          for inPlace in [true, false] {
            let found = atEveryLevel {
              let source = Memory(format.write(elements), offset: 1)
              let target = inPlace ? source : Memory(count: source.count)
              mk_keep_largest(target.pointer, source.pointer, outer, axis, inner, keep, group, type)
              #expect(target.isFenced)
              return target.bytes
            }
            #expect(found == format.write(wanted), "[\(outer), \(axis), \(inner)] \(keep):\(group)")
          }
        }
      }
    }

    @Test func nothing() {
      let memory = Memory(count: 4)
      for (outer, axis, inner) in [(0, 4, 1), (4, 0, 1), (4, 4, 0)] {
        mk_keep_largest(memory.pointer, memory.pointer, outer, axis, inner, 2, 4, MK_FLOAT32)
      }
      #expect(memory.bytes == [0x5a, 0x5a, 0x5a, 0x5a])
    }
  }
}
