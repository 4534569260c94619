import CKernels
import TestSupport
import Testing

extension Kernels {
  @Suite struct MaskTests {
    @Test(arguments: formats) func againstOracle(type: mk_float) {
      let format = Format(type)
      for count in sizes {
        var generator = Generator(count)
        let elements = format.mixture(count, seed: count)
        let mask = (0..<count).map { _ in generator.next() % 2 == 0 ? 0 : UInt8(truncatingIfNeeded: generator.next()) }
        let masks = Memory(mask, offset: 1)
        for (offset, inPlace) in [(0, true), (1, false), (3, true)] {
          let found = atEveryLevel("\(count) elements") {
            let source = Memory(format.write(elements), offset: offset)
            let target = inPlace ? source : Memory(count: source.count)
            mk_apply_mask(target.pointer, source.pointer, masks.pointer, count, type)
            #expect(target.isFenced)
            return target.bytes
          }
          #expect(found == format.write(zip(elements, mask).map { $1 == 0 ? 0 : $0 }), "\(count) elements")
        }
      }
    }
  }
}
