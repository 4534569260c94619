import CKernels
import Testing

extension Kernels {
  @Suite struct StatisticsTests {
    /// Small whole numbers, whose sums are exact in any order.
    func whole(_ format: Format, _ count: Int) -> [UInt64] {
      (0..<count).map { index in
        let number = (index * 37 + index / 11) % 17 - 8
        return format.nearest(Double(number))
      }
    }

    @Test(arguments: formats) func powerSums(type: mk_float) {
      let format = Format(type)
      for count in sizes {
        let elements = whole(format, count)
        let magnitudes = elements.map { format.magnitude($0) }
        let memory = Memory(format.write(elements), offset: 1)
        func sum(_ power: Double) -> Double {
          atEveryLevel("\(count) elements, power \(power)") { mk_power_sum(memory.pointer, count, type, power) }
        }
        #expect(sum(0) == Double(magnitudes.count { $0 != 0 }))
        #expect(sum(1) == magnitudes.reduce(0, +))
        #expect(sum(2) == magnitudes.reduce(0) { $0 + $1 * $1 })
        #expect(sum(3) == magnitudes.reduce(0) { $0 + $1 * $1 * $1 })
        #expect(sum(.infinity) == magnitudes.max() ?? 0)
        #expect(sum(-.infinity) == magnitudes.min() ?? .infinity)
      }
    }

    @Test(arguments: formats) func realNumbers(type: mk_float) {
      let format = Format(type)
      for count in sizes {
        let elements = format.weights(count, seed: count)
        let memory = Memory(format.write(elements), offset: 1)
        for power in [1, 2, 0.5, 2.5] as [Double] {
          let found = atEveryLevel { mk_power_sum(memory.pointer, count, type, power) }
          var squares = 0.0
          for element in elements where power == 2 { squares += format.value(element) * format.value(element) }
          // Sums of positive terms in two orders: each addition errs by half a unit in the last place at most.
          if power == 2 { #expect(abs(found - squares) <= Double(count) * squares.ulp) }
        }
      }
    }

    @Test(arguments: formats) func nanWins(type: mk_float) {
      let format = Format(type)
      for place in [0, 1, 15, 16, 17, 40, 99] {
        var elements = whole(format, 100)
        elements[place] = format.nan | format.signBit
        let memory = Memory(format.write(elements))
        for power in [1, 2, .infinity, -.infinity] as [Double] {
          let isNaN = atEveryLevel { mk_power_sum(memory.pointer, 100, type, power).isNaN }
          #expect(isNaN, "power \(power), place \(place)")
        }
        #expect(mk_power_sum(memory.pointer, 100, type, 0) == Double(elements.count { format.value($0) != 0 }))
      }
    }

    struct Moments: Equatable {
      var mean = 0.0
      var squares = 0.0
    }

    func moments(_ memory: Memory, _ count: Int, _ type: mk_float) -> Moments {
      atEveryLevel("\(count) elements") {
        var moments = Moments(mean: 1, squares: 1)
        mk_moments(memory.pointer, count, type, &moments.mean, &moments.squares)
        return moments
      }
    }

    @Test(arguments: formats) func meanAndDeviations(type: mk_float) {
      let format = Format(type)
      for count in sizes {
        let values = whole(format, count).map { format.value($0) }
        let found = moments(Memory(format.write(whole(format, count)), offset: 1), count, type)
        let mean = count == 0 ? 0 : values.reduce(0, +) / Double(count)
        #expect(found.mean == mean)
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        // Positive terms again.
        #expect(abs(found.squares - squares) <= Double(count) * squares.ulp)
      }
    }

    @Test func largeMeanKeepsItsDeviations() {
      let format = Format(MK_FLOAT64)
      let elements = (0..<1000).map { (1e12 + Double($0 % 2)).bitPattern }
      #expect(moments(Memory(format.write(elements)), 1000, MK_FLOAT64) == Moments(mean: 1e12 + 0.5, squares: 250))
    }

    @Test(arguments: formats) func nonfinite(type: mk_float) {
      let format = Format(type)
      for count in sizes {
        var elements = format.weights(count, seed: count)
        if count > 1 { elements[1] = format.infinity - 1 }
        func found() -> Bool {
          let memory = Memory(format.write(elements), offset: 1)
          return atEveryLevel { mk_has_nonfinite(memory.pointer, count, type) }
        }
        #expect(!found())
        for place in Set([0, count / 2, count - 1]) where place >= 0 && place < count {
          let kept = elements[place]
          let last = format.signBit | (format.signBit - 1)
          for bits in [format.infinity, format.infinity | format.signBit, format.nan, last] {
            elements[place] = bits
            #expect(found(), "\(count) elements, \(place)")
          }
          elements[place] = kept
        }
      }
    }
  }
}
