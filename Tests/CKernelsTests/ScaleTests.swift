import CKernels
import TestSupport
import Testing

extension Kernels {
  @Suite struct ScaleTests {
    func run(_ format: Format, _ elements: [UInt64], rows: Int, columns: Int, _ scale: [Double], inPlace: Bool)
      -> [UInt8]
    {
      atEveryLevel("\(rows) x \(columns)") {
        let source = Memory(format.write(elements), offset: 1)
        let target = inPlace ? source : Memory(count: source.count, offset: 2)
        mk_scale_rows(target.pointer, source.pointer, rows, columns, scale, format.type)
        #expect(target.isFenced)
        return target.bytes
      }
    }

    func expected(_ format: Format, _ element: UInt64, _ factor: Double) -> UInt64 {
      if format.type == MK_FLOAT64 { return (Double(bitPattern: element) * factor).bitPattern }
      return format.nearest(Double(Float(format.value(element)) * Float(factor)))
    }

    @Test(arguments: formats) func againstOracle(type: mk_float) {
      let format = Format(type)
      let shapes = fewerSizes.map { (1, $0) } + [(1009, 1), (65, 9), (300, 27), (7, 1009), (3, 1024), (0, 5)]
      for (rows, columns) in shapes {
        var generator = Generator(rows)
        let elements = format.mixture(rows * columns, seed: columns).map { format.isNaN($0) ? 0x11 : $0 }
        let scale = (0..<rows).map { _ in Double.random(in: -3...3, using: &generator) }
        let wanted = elements.enumerated().map { expected(format, $1, scale[$0 / columns]) }
        for inPlace in [true, false] {
          let found = format.read(run(format, elements, rows: rows, columns: columns, scale, inPlace: inPlace))
          let wrong = zip(found, wanted).count { $0 != $1 }
          #expect(wrong == 0, "\(rows) x \(columns)")
        }
      }
    }

    /// NaN stays NaN wherever it comes from, with the same bits at every level (`run` compares them).
    @Test(arguments: formats) func extremes(type: mk_float) {
      let format = Format(type)
      let scale: [Double] = [
        0, -0.0, .infinity, -.infinity, .nan, -.nan, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 1, -1,
      ]
      let elements = (0..<scale.count).flatMap { _ in format.mixture(37, seed: 9) }
      let found = format.read(run(format, elements, rows: scale.count, columns: 37, scale, inPlace: false))
      for (place, bits) in found.enumerated() {
        let product =
          type == MK_FLOAT64
          ? format.value(elements[place]) * scale[place / 37]
          : Double(Float(format.value(elements[place])) * Float(scale[place / 37]))
        #expect(
          product.isNaN ? format.isNaN(bits) : bits == expected(format, elements[place], scale[place / 37]))
      }
    }
  }
}
