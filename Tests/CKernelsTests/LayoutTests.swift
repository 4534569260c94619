import CKernels
import TestSupport
import Testing

extension Kernels {
  @Suite struct LayoutTests {
    @Test(arguments: [1, 2, 4, 8, 16]) func swapsBytes(size: Int) {
      for count in sizes {
        var generator = Generator(count)
        let bytes = (0..<count * size).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let wanted = stride(from: 0, to: bytes.count, by: size).flatMap { bytes[$0..<$0 + size].reversed() }
        for (offset, inPlace) in [(0, true), (1, false), (3, true)] {
          let found = atEveryLevel("\(count) words") {
            let source = Memory(bytes, offset: offset)
            let target = inPlace ? source : Memory(count: source.count)
            mk_swap_bytes(target.pointer, source.pointer, count, size)
            #expect(target.isFenced)
            return target.bytes
          }
          #expect(found == wanted, "\(count) words")
        }
      }
    }

    func check(_ shape: [Int64], _ strides: [Int64], start: Int = 0, storage: Int) {
      for size in [1, 2, 4, 8, 16] {
        var generator = Generator(storage)
        let bytes = (0..<storage * size).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        var places = [start]
        for (length, stride) in zip(shape, strides) {
          places = places.flatMap { place in (0..<length).map { place + Int($0 * stride) } }
        }
        let source = Memory(bytes, offset: 1)
        let target = Memory(count: places.count * size, offset: 1)
        mk_gather(target.pointer, source.pointer + start * size, size, shape.count, shape, strides)
        #expect(target.bytes == places.flatMap { bytes[$0 * size..<($0 + 1) * size] }, "\(shape) \(strides)")
        #expect(target.isFenced)
      }
    }

    @Test func gathers() {
      check([], [], storage: 1)
      check([0], [1], storage: 1)
      check([3, 0, 2], [1, 1, 1], storage: 1)
      check([1, 1, 1], [7, 9, 100], start: 2, storage: 3)
      check([1000], [1], storage: 1000)
      check([100], [7], storage: 700)
      check([5], [0], storage: 1)
      check([5, 3], [0, 1], storage: 3)
      check([3, 5], [1, 0], storage: 3)
      check([4, 3, 5], [0, 0, 0], storage: 1)
      check([4], [-3], start: 9, storage: 10)
      check([3, 4], [4, -1], start: 3, storage: 12)
    }

    @Test func gathersTransposed() {
      for (rows, columns) in [(2, 3), (33, 65), (100, 31), (1, 70), (70, 1)] {
        check([Int64(columns), Int64(rows)], [1, Int64(columns)], storage: rows * columns)
      }
    }

    /// Every order of four axes, whole and with a part cut out.
    @Test func gathersPermuted() {
      let lengths: [Int64] = [3, 5, 2, 7]
      let strides: [Int64] = [70, 14, 7, 1]
      for order in permutations([0, 1, 2, 3]) {
        check(order.map { lengths[$0] }, order.map { strides[$0] }, storage: 210)
        check(order.map { max(1, lengths[$0] - 1) }, order.map { strides[$0] }, start: 1, storage: 211)
        check(order.map { (lengths[$0] + 1) / 2 }, order.map { strides[$0] * 2 }, storage: 420)
      }
    }

    func permutations(_ values: [Int]) -> [[Int]] {
      guard values.count > 1 else { return [values] }
      return values.flatMap { first in permutations(values.filter { $0 != first }).map { [first] + $0 } }
    }

    @Test func manyAxes() {
      var shape = [Int64](repeating: 1, count: 64)
      var strides = [Int64](repeating: 5, count: 64)
      for (axis, stride) in [(3, 1), (20, 3), (41, 9), (63, 27)] as [(Int, Int64)] {
        (shape[axis], strides[axis]) = (3, stride)
      }
      check(shape, strides, storage: 81)
    }
  }
}
