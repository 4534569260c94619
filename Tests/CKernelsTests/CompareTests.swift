import CKernels
import Testing

extension Kernels {
  @Suite struct CompareTests {
    struct Result: Equatable {
      let counts: [Int]
      let sums: [UInt64]
    }

    func compare(_ a: [UInt64], _ first: Format, _ b: [UInt64], _ second: Format) -> mk_comparison {
      let (x, y) = (Memory(first.write(a), offset: 1), Memory(second.write(b), offset: 3))
      var result = mk_comparison()
      _ = atEveryLevel("\(a.count) elements") {
        mk_compare(&result, x.pointer, first.type, y.pointer, second.type, a.count)
        return Result(
          counts: [result.different, result.nonfinite],
          sums: [
            result.max_absolute, result.max_relative, result.product, result.first_squares, result.second_squares,
          ].map(\.bitPattern))
      }
      return result
    }

    @Test(arguments: formats, formats) func againstOracle(first: mk_float, second: mk_float) {
      let (p, q) = (Format(first), Format(second))
      for count in fewerSizes {
        let a = p.mixture(count, seed: count)
        let b = q.mixture(count, seed: first == second ? count + 1 : count)
        let result = compare(a, p, b, q)
        let pairs = zip(a.map { p.value($0) }, b.map { q.value($0) })
        let different = pairs.filter { !($0 == $1 || ($0.isNaN && $1.isNaN)) }
        #expect(result.different == different.count)
        #expect(result.nonfinite == different.count { !($0 - $1).isFinite })
        let distances = different.map { abs($0 - $1) }.filter(\.isFinite)
        #expect(result.max_absolute == distances.max() ?? 0)
      }
    }

    @Test func equalArrays() {
      let format = Format(MK_FLOAT32)
      let elements = format.mixture(1009, seed: 1)
      #expect(compare(elements, format, elements, format).different == 0)
    }
  }

  @Suite struct CensusTests {
    @Test(arguments: formats, [MK_FLOAT16, MK_BFLOAT16, MK_FLOAT32])
    func againstConversion(type: mk_float, target: mk_float) {
      let format = Format(type)
      for count in fewerSizes {
        let elements = format.mixture(count, seed: count)
        let memory = Memory(format.write(elements), offset: 3)
        var census = mk_census()
        _ = atEveryLevel {
          census = mk_take_census(memory.pointer, count, type, target)
          return [census.nan, census.infinite, census.zero, census.overflowing, census.flushed]
        }
        let values = elements.map { format.value($0) }
        let rounded = values.map { Format(target).value(Format(target).nearest($0.isNaN ? 0 : $0)) }
        #expect(census.nan == values.count(where: \.isNaN))
        #expect(census.infinite == values.count(where: \.isInfinite))
        #expect(census.zero == values.count { $0 == 0 })
        #expect(census.overflowing == zip(values, rounded).count { $0.isFinite && $1.isInfinite })
        #expect(census.flushed == zip(values, rounded).count { $0.isFinite && $0 != 0 && $1 == 0 })
      }
    }
  }

  @Suite struct AverageTests {
    enum Method: CaseIterable { case mix, lerpBelow, lerpAbove, running }

    @Test(arguments: formats, Method.allCases) func againstOracle(type: mk_float, method: Method) {
      let format = Format(type)
      for count in fewerSizes {
        func numbers(_ seed: Int) -> [UInt64] {
          format.mixture(count, seed: seed).map {
            format.value($0).isFinite && abs(format.value($0)) < 1e30 ? $0 : 0x11
          }
        }
        let (a, m) = (numbers(count), numbers(count + 1))
        let result = atEveryLevel("\(count) elements") {
          let average = Memory(format.write(a), offset: 1)
          let model = Memory(format.write(m), offset: 2)
          let hasNonFinite: Bool
          switch method {
          case .mix: hasNonFinite = mk_average_mix(average.pointer, type, model.pointer, type, count, 0.875, 0.3)
          case .lerpBelow: hasNonFinite = mk_average_lerp(average.pointer, type, model.pointer, type, count, 0.3)
          case .lerpAbove: hasNonFinite = mk_average_lerp(average.pointer, type, model.pointer, type, count, 0.7)
          case .running: hasNonFinite = mk_average_running(average.pointer, type, model.pointer, type, count, 3)
          }
          #expect(average.isFenced && model.isFenced && !hasNonFinite)
          return average.bytes
        }
        let expected = zip(a, m).map { old, new -> UInt64 in
          if type == MK_FLOAT64 { return one(format.value(old), format.value(new), method).bitPattern }
          return format.nearest(Double(one(Float(format.value(old)), Float(format.value(new)), method)))
        }
        #expect(result == format.write(expected), "\(count) elements")
      }
    }

    /// One element that is not finite is seen wherever it stands.
    @Test(arguments: [MK_FLOAT64, MK_FLOAT32, MK_FLOAT16, MK_BFLOAT16, MK_FLOAT8_E5M2])
    func nonFiniteElements(type: mk_float) {
      let format = Format(type)
      for count in [1, 7, 17, 33, 1025] {
        for (place, value) in [(0, Double.nan), (count / 2, .infinity), (count - 1, -.infinity)] {
          var elements = [UInt64](repeating: format.nearest(1), count: count)
          elements[place] = value.isNaN ? format.nearest(.infinity) | 1 : format.nearest(value)
          let found = atEveryLevel("\(value) at \(place) of \(count)") {
            let average = Memory(format.write([UInt64](repeating: format.nearest(1), count: count)), offset: 1)
            let model = Memory(format.write(elements), offset: 3)
            return [
              mk_average_mix(average.pointer, type, model.pointer, type, count, 0.5, 0.5),
              mk_average_lerp(average.pointer, type, model.pointer, type, count, 0.1),
              mk_average_running(average.pointer, type, model.pointer, type, count, 3),
            ]
          }
          #expect(found == [true, true, true])
        }
      }
    }

    /// In the number's own arithmetic, each step rounded.
    func one<T: BinaryFloatingPoint>(_ a: T, _ m: T, _ method: Method) -> T {
      switch method {
      case .mix:
        let kept = a * T(0.875)
        let added = T(0.3) * m
        return kept + added
      case .lerpBelow: return a.addingProduct(T(0.3), m - a)
      case .lerpAbove: return m.addingProduct(-(m - a), 1 - T(0.7))
      case .running: return a + (m - a) / 3
      }
    }
  }
}
