import ModelCore
import ModelRandom
import TestSupport
import Testing

/// Numbers of `torch.Generator().manual_seed(seed)`; the raw draws are NumPy's `RandomState(seed).randint(0, 2**32,
/// dtype=uint32)`.
@Suite struct TorchGeneratorTests {
  @Test(
    arguments: [
      (
        0, [2_357_136_044, 2_546_248_239, 3_071_714_933, 3_626_093_760],
        [3_791_854_820, 341_544_762, 1_076_416_385], 387_547_707
      ),
      (
        1, [1_791_095_845, 4_282_876_139, 3_093_770_124, 4_005_303_368],
        [2_006_116_153, 1_104_314_680, 939_235_918], 2_604_647_584
      ),
      (
        42, [1_608_637_542, 3_421_126_067, 4_083_286_876, 787_846_414],
        [1_077_437_785, 108_880_612, 791_707_097], 2_059_789_457
      ),
      // Only the low 32 bits of a seed count.
      (
        4_294_967_301, [953_453_411, 236_996_814, 3_739_766_767, 3_570_525_885],
        [2_809_743_450, 164_677_315, 3_235_025_989], 417_587_705
      ),
      (
        .max, [419_326_371, 479_346_978, 3_918_654_476, 2_416_749_639],
        [1_027_084_080, 3_860_652_269, 657_474_326], 319_045_431
      ),
    ] as [(UInt64, [UInt32], [UInt32], UInt32)])
  func rawDraws(seed: UInt64, first: [UInt32], atTheRefill: [UInt32], last: UInt32) {
    var generator = TorchGenerator(seed: seed)
    let draws = (0..<1300).map { _ in generator.next32() }
    #expect(Array(draws[..<4]) == first)
    #expect(Array(draws[623..<626]) == atTheRefill)
    #expect(draws[1299] == last)
  }

  @Test func rand() {
    var generator = TorchGenerator(seed: 0)
    let draws: [Float] = [0.49625659, 0.76822180, 0.08847743, 0.13203049]
    #expect(draws.allSatisfy { $0 == generator.uniformFloat32() })
  }

  /// torch.rand(6, dtype=…) of seed 3.
  @Test func randOfEveryType() throws {
    let expected: [DType: [Double]] = [
      .float32: [
        0.004263520240783691, 0.10556936264038086, 0.2858424782752991, 0.026954829692840576, 0.47161436080932617,
        0.06011629104614258,
      ],
      .float64: [
        0.03410819565052048, 0.28674022672130695, 0.7729149443285843, 0.17492702928129467, 0.7553698716458989,
        0.608250626920705,
      ],
      .float16: [
        0.00426483154296875, 0.1055908203125, 0.285888671875, 0.0269622802734375, 0.4716796875, 0.06011962890625,
      ],
      .bfloat16: [0.0042724609375, 0.10546875, 0.28515625, 0.0269775390625, 0.470703125, 0.06005859375],
    ]
    for (dtype, values) in expected {
      var generator = TorchGenerator(seed: 3)
      #expect(try generator.uniform(dtype, 6) == values, "\(dtype)")
    }
  }

  /// What rounds to 1 in half precision becomes 0: torch.rand(…, generator=seed 0) has 0.0 at these places.
  @Test func aDrawThatRoundsToOneIsZero() throws {
    for (dtype, place) in [(DType.bfloat16, 332), (.bfloat16, 337), (.float16, 337), (.float16, 2885)] {
      var generator = TorchGenerator(seed: 0)
      #expect(try generator.uniform(dtype, 3000)[place] == 0, "\(dtype)")
    }
  }

  @Test func otherTypesAreNotDrawn() {
    var generator = TorchGenerator(seed: 0)
    #expect(refusal { _ = try generator.uniform(.float8E5M2, 1) } == "float8_e5m2 numbers cannot be drawn")
    #expect(refusal { _ = try generator.uniform(.int64, 1) } == "int64 numbers cannot be drawn")
  }

  @Test func aCopyGoesOnByItself() {
    var one = TorchGenerator(seed: 7)
    for _ in 0..<700 { _ = one.next32() }
    var two = one
    #expect((0..<700).allSatisfy { _ in one.next32() == two.next32() })
  }
}
