import CKernels
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension Kernels {
  /// The operations of models, against the C library in double.
  @Suite struct OperationTests {
    /// Numbers of both signs, from tiny to large.
    static let numbers: [Float] =
      (0..<2051).map { Float($0 - 1025) * 0.01 } + [
        0, -0.0, 1e-30, -1e-7, 3e-5, 80, -90, 700, -3e4, .infinity, -.infinity,
      ]

    /// The results' bits at the machine's level, the same at every level; any NaN counts as one.
    func bits(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
      let found = atEveryLevel {
        var result = [Float](repeating: 7, count: count)
        result.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
        return result.map { $0.isNaN ? UInt32.max : $0.bitPattern }
      }
      return found.map { Float(bitPattern: $0) }
    }

    func expectSame(_ found: [Float], _ wanted: [Double], _ what: String, within ulps: Double = 4) {
      for (index, (x, y)) in zip(found, wanted).enumerated() {
        let (rounded, error) = (Float(y), abs(Double(x) - y))
        #expect(
          x == rounded || x.isNaN && y.isNaN || error <= ulps * max(abs(y), 0x1p-126) * 0x1p-24,
          "\(what) \(index): \(x), not \(y)")
      }
    }

    @Test func functions() {
      let functions: [(mk_function, Float, Float, (Double) -> Double)] = [
        (MK_CEIL, 0, 0, ceil), (MK_CELU, 0.5, 0, { $0 > 0 ? $0 : 0.5 * expm1($0 / 0.5) }), (MK_COS, 0, 0, cos),
        (MK_ELU, 1.5, 0, { $0 > 0 ? $0 : 1.5 * expm1($0) }), (MK_ERF, 0, 0, erf), (MK_FLOOR, 0, 0, floor),
        (MK_HARDSHRINK, 0.5, 0, { abs($0) <= 0.5 ? 0 : $0 }),
        (MK_HARDSIGMOID, 0, 0, { min(max(Double(Float($0) + 3), 0), 6) / 6 }),
        (MK_LOG_SIGMOID, 0, 0, { min($0, 0) - log1p(exp(-abs($0))) }), (MK_NEGATE, 0, 0, { -$0 }),
        (MK_NOT, 0, 0, { $0 == 0 ? 1 : 0 }), (MK_RECIPROCAL, 0, 0, { 1 / $0 }), (MK_ROUND, 0, 0, rint),
        (MK_RSQRT, 0, 0, { 1 / sqrt($0) }),
        (MK_SELU, 0, 0, { 1.0507009873554805 * ($0 > 0 ? $0 : 1.6732632423543772 * expm1($0)) }),
        (MK_SIGN, 0, 0, { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }), (MK_SIN, 0, 0, sin),
        (MK_SOFTPLUS, 2, 20, { $0 * 2 > 20 ? $0 : log1p(exp($0 * 2)) / 2 }),
        (MK_SOFTSHRINK, 0.5, 0, { $0 > 0.5 ? $0 - 0.5 : $0 < -0.5 ? $0 + 0.5 : 0 }),
        (MK_SOFTSIGN, 0, 0, { $0.isInfinite ? .nan : $0 / (1 + abs($0)) }), (MK_TAN, 0, 0, tan),
        (MK_THRESHOLD, 0.5, -3, { $0 <= 0.5 ? -3 : $0 }),
      ]
      for (function, a, b, wanted) in functions {
        let found = bits(Self.numbers.count) { mk_unary(function, a, b, $0, Self.numbers, Self.numbers.count) }
        // Near their zeros sines and cosines are exact to their size's rounding, not to their own.
        let isSine = function == MK_SIN || function == MK_COS
        let expected = Self.numbers.map { wanted(Double($0)) }
        if isSine {
          for (x, y) in zip(found, expected) {
            #expect(x.isNaN && y.isNaN || abs(Double(x) - y) < 1.5e-7, "\(x), not \(y)")
          }
        } else {
          expectSame(found, expected, "\(function)")
        }
        let ofNaN = bits(3) { mk_unary(function, a, b, $0, [.nan, 1, .nan], 3) }
        #expect(ofNaN[0].isNaN || function == MK_NOT || function == MK_SIGN, "\(function)")
      }
      let small = Self.numbers.filter { abs($0) > 0.3 }
      let shrunk = bits(small.count) { mk_unary(MK_TANHSHRINK, 0, 0, $0, small, small.count) }
      expectSame(shrunk, small.map { Double($0) - tanh(Double($0)) }, "tanhshrink", within: 64)
    }

    @Test func pairs() {
      let functions: [(mk_pair, (Double, Double) -> Double)] = [
        (MK_ADD, +), (MK_SUBTRACT, -), (MK_MULTIPLY, *), (MK_DIVIDE, /), (MK_MINIMUM, min), (MK_MAXIMUM, max),
        (MK_FLOOR_DIVIDE, { floor($0 / $1) }), (MK_REMAINDER, { $0 - floor($0 / $1) * $1 }),
        (MK_AND, { $0 != 0 && $1 != 0 ? 1 : 0 }), (MK_OR, { $0 != 0 || $1 != 0 ? 1 : 0 }),
        (MK_XOR, { ($0 != 0) != ($1 != 0) ? 1 : 0 }), (MK_PRELU, { $0 > 0 ? $0 : $0 * $1 }),
        (MK_POWER, { pow($0, $1) }),
      ]
      let (rows, columns) = (5, 67)
      let left = (0..<rows * columns).map { Float($0 % 41) * 0.25 - 2 }
      let right = (0..<rows * columns).map { Float($0 % 13) * 0.5 - 1 }
      for (function, wanted) in functions {
        // Alike, a number a row, a number for all, and turned round.
        for (row, column) in [(columns, 1), (1, 0), (0, 0), (1, rows)] {
          for isSmall in [false, true] where function == MK_POWER || !isSmall {
            let first = isSmall ? left.map { abs($0) + 0.1 } : left
            var plane = mk_plane(
              rows: rows, columns: columns, row: (columns, columns, row, 0), column: (1, 1, column, 0))
            let found = bits(rows * columns) { mk_binary(function, $0, first, right, &plane) }
            let expected = (0..<rows * columns).map {
              wanted(Double(first[$0]), Double(right[$0 / columns * row + $0 % columns * column]))
            }
            expectSame(found, expected, "\(function) \(row) \(column)")
          }
        }
      }
    }

    @Test func totals() {
      let measures: [(mk_measure, Double, (Double, Double) -> Double)] = [
        (MK_SUM, 0, { $0 + $1 }), (MK_LARGEST, -.infinity, { max($0, $1) }), (MK_SMALLEST, .infinity, { min($0, $1) }),
        (MK_PRODUCT, 1, { $0 * $1 }), (MK_SQUARES, 0, { $0 + $1 * $1 }),
        (MK_DEVIATIONS, 0, { $0 + ($1 - 0.25) * ($1 - 0.25) }),
      ]
      let (rows, columns) = (37, 19)
      let numbers = (0..<rows * columns).map { 1 + Float($0 * 7 % 31 - 15) * 0.01 }
      let centers = [Double](repeating: 0.25, count: columns)
      for (measure, start, combined) in measures {
        for (row, column) in [(columns, 1), (1, rows), (columns, 0)] {
          let found = atEveryLevel {
            var totals = [Double](repeating: start, count: columns)
            mk_accumulate(measure, &totals, numbers, rows, columns, row, column, centers)
            return totals
          }
          for (place, total) in found.enumerated() {
            let wanted = (0..<rows).reduce(start) { combined($0, Double(numbers[$1 * row + place * column])) }
            #expect(abs(total - wanted) <= 1e-12 * abs(wanted), "\(measure) \(row) \(column)")
          }
        }
      }
    }

    @Test func softmaxOfScores() {
      let (count, scale) = (53, Float(0.5))
      let scores = (0..<count).map { Float($0 * 5 % 17) - 8 }
      let (added, kept) = ((0..<count).map { Float($0 % 3) }, (0..<count).map { UInt8($0 % 4 == 0 ? 0 : 1) })
      func softmax(_ values: [Double]) -> [Double] {
        let sum = values.reduce(0) { $0 + exp($1) }
        return values.map { exp($0) / sum }
      }
      func found(_ kind: mk_mask, _ mask: UnsafeRawPointer?, _ step: Int = 1) -> [Float] {
        bits(count) { target in
          for (index, score) in scores.enumerated() { target[index] = score }
          mk_attend(target, count, scale, kind, mask, step)
        }
      }
      let scaled = scores.map { Double($0 * scale) }
      expectSame(found(MK_UNMASKED, nil), softmax(scaled), "plain", within: 8)
      expectSame(found(MK_ADDED_MASK, added), softmax(zip(scaled, added).map { $0 + Double($1) }), "added", within: 8)
      expectSame(
        found(MK_KEEPING_MASK, kept), softmax(zip(scaled, kept).map { $1 == 0 ? -.infinity : $0 }), "kept", within: 8)
      #expect(found(MK_KEEPING_MASK, [UInt8](repeating: 0, count: 1), 0).allSatisfy { $0 == 0 })
    }
  }
}
