import ModelCore
import ModelGraph

/// What a fuzzer's bytes decide: small things mostly, and now and then monstrous ones.
struct Draws {
  private var bytes: ArraySlice<UInt8>
  /// Whether a number was drawn that float32 does not hold.
  private(set) var hasDrawnHuge = false

  /// What comes behind the last byte is 0.
  init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  var isAtEnd: Bool { bytes.isEmpty }

  mutating func below(_ bound: Int) -> Int { Int(bytes.popFirst() ?? 0) % bound }
  mutating func flag() -> Bool { below(2) == 0 }
  mutating func element<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  mutating func int() -> Int {
    below(40) == 0
      ? element([.min, .max, -1 << 32, 1 << 31, 1 << 20, 1 << 16, -1 << 20])
      : element([-2, -1, 0, 0, 1, 1, 1, 2, 2, 3])
  }

  mutating func positive() -> Int { below(20) == 0 ? int() : 1 + below(3) }
  mutating func optional() -> Int? { flag() ? int() : nil }
  mutating func ints(_ count: Int) -> [Int] { (0..<count).map { _ in int() } }
  mutating func positives(_ count: Int) -> [Int] { (0..<count).map { _ in positive() } }
  mutating func count() -> Int { below(12) == 0 ? below(6) : 1 + below(2) }
  mutating func margin() -> Margin { Margin(int(), int()) }
  mutating func double() -> Double {
    let number = element([0, 1, 0.5, 2, -1, 1e-5, 1e300, .nan, .infinity, -.infinity])
    hasDrawnHuge = hasDrawnHuge || number == 1e300
    return number
  }

  mutating func tensor() throws -> Tensor {
    // Tensors of few extents go together more often.
    let extents = flag() ? [1, 2, 2] : [0, 1, 1, 2, 2, 3, 4, 5]
    let shape = (0..<element([0, 1, 2, 2, 3, 4, 4, 5])).map { _ in element(extents) }
    let dtype = element([
      DType.float32, .float32, .float32, .float16, .bfloat16, .float64, .int64, .int64, .uint8, .bool,
    ])
    return try Tensor((0..<shape.reduce(1, *)).map { _ in Float(element([0, 1, 2, 3, -1, 0.5])) }, shape).cast(
      to: dtype)
  }

  /// In double precision, of numbers that lie on no kink and are no two the same.
  mutating func smoothTensor() throws -> Tensor {
    let shape = (0..<element([0, 1, 2, 2, 3, 4, 4, 5])).map { _ in element([1, 2, 2, 3]) }
    let values = (0..<shape.reduce(1, *)).map { element([0.3, 1.1, -0.7, 0.9, 2.3, -1.6]) + 0.0137 * Double($0) }
    return try Tensor(values, shape)
  }

  mutating func extent() -> Extent {
    switch below(8) {
    case 0: .inferred
    case 1, 2: .of(operand: below(3), axis: int(), multiple: positive(), divisor: positive())
    case 3: .element(operand: below(3), index: int())
    case 4: .axes(operand: below(3), from: int(), to: optional())
    default: .fixed(int())
    }
  }

  mutating func extents() -> [Extent] { (0..<below(5)).map { _ in extent() } }

  mutating func unary() -> Unary {
    element([
      .abs, .ceil, .cos, .erf, .exp, .floor, .log, .negate, .not, .reciprocal, .round, .rsqrt, .sign, .sin, .sqrt,
      .square, .tan, .clip(minimum: double(), maximum: double()), .clip(minimum: nil, maximum: double()),
      .celu(alpha: double()), .elu(alpha: double()), .gelu(isApproximate: flag()), .hardshrink(lambda: double()),
      .hardsigmoid, .hardswish, .leakyReLU(slope: double()), .logSigmoid, .mish, .relu, .selu, .sigmoid, .silu,
      .softplus(beta: double(), threshold: double()), .softshrink(lambda: double()), .softsign, .tanh, .tanhshrink,
      .threshold(double(), value: double()),
    ])
  }

  mutating func operation() -> Operation {
    switch below(38) {
    case 0, 1:
      let rank = count()
      return .convolution(
        ConvolutionGeometry(
          stride: positives(rank), padding: (0..<rank).map { _ in margin() }, dilation: positives(rank),
          groups: positive(), isTransposed: flag(), outputPadding: flag() ? nil : ints(rank)))
    case 2: return .linear
    case 3: return .matrixProduct
    case 4:
      return .einsum(element(["ij,jk->ik", "bnqc,bkc->bqnk", "", "->", "i,i->i,", "ii,i->i", "ab,cd->ef", "é,b->b"]))
    case 5: return .attention(scale: flag() ? nil : double())
    case 6:
      return .recurrence(
        Recurrence(
          element([.lstm, .gru, .rnnTanh, .rnnReLU]), isReversed: flag(), hasBias: flag(), isProjected: below(4) == 0))
    case 7:
      return .batchNorm(element([.inference, .training(momentum: nil), .training(momentum: double())]), eps: double())
    case 8: return .layerNorm(axes: int(), eps: double())
    case 9: return .rmsNorm(axes: int(), eps: flag() ? nil : double())
    case 10: return .groupNorm(groups: int(), eps: double())
    case 11: return .softmax(axis: optional(), isLogarithm: flag())
    case 12: return .unary(unary())
    case 13: return .prelu
    case 14:
      return .binary(
        element([
          .add, .subtract, .multiply, .divide, .power, .minimum, .maximum, .floorDivide, .remainder, .and, .or, .xor,
        ]))
    case 15: return .compare(element([.equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual]))
    case 16: return .select
    case 17: return .convert(element(DType.allCases))
    case 18: return .dropout(Dropout(probability: double(), unit: element([.element, .channel, .row, .tensor])))
    case 19:
      return .reduce(element([.sum, .mean, .max, .min, .product, .norm]), axes: ints(below(3)), keepsAxes: flag())
    case 20: return .argmax(axis: int(), keepsAxis: flag())
    case 21: return .topK(axis: int(), count: int())
    case 22, 23:
      let rank = count()
      var pool = Pool(
        element([.max, .average]), kernelSize: positives(rank), stride: positives(below(12) == 0 ? count() : rank),
        padding: ints(rank), dilation: positives(rank), ceilMode: flag())
      pool.countsPadding = flag()
      pool.divisor = optional()
      return .pool(pool)
    case 24:
      return .adaptivePool(
        AdaptivePool(element([.max, .average]), outputSize: (0..<count()).map { _ in flag() ? nil : int() }))
    case 25:
      let target: Resize.Target =
        switch below(3) {
        case 0: .size(ints(count()))
        case 1: .scale((0..<count()).map { _ in double() })
        default: .operand
        }
      return .resize(Resize(target, mode: element([.nearest, .nearestExact, .linear, .cubic]), alignsCorners: flag()))
    case 26:
      return .pad(
        (0..<below(5)).map { _ in margin() }, element([.constant(double()), .reflect, .replicate, .circular]))
    case 27:
      let rank = count()
      return .samePad(
        SamePadding(kernelSize: positives(rank), stride: positives(rank), dilation: positives(rank), value: double()))
    case 28: return .gridSample(alignsCorners: flag())
    case 29: return .pixelShuffle(PixelShuffle(factor: int(), isInverse: flag()))
    case 30: return .concatenate(axis: int())
    case 31: return .stack(axis: int())
    case 32:
      return .split(
        axis: int(), element([.sizes(ints(below(4))), .equal(int()), .extents((0..<below(3)).map { _ in extent() })]))
    case 33: return .slice(axis: int(), start: int(), end: optional(), step: int())
    case 34: return .gather(axis: int(), batchAxes: int())
    case 35: return flag() ? .reshape(extents()) : .expand(extents())
    case 36: return flag() ? .flatten(Flatten(start: int(), end: int())) : .permute(ints(below(5)))
    default: return element([.coordinates(axis: int()), .shape, .other("mystery")])
    }
  }
}
