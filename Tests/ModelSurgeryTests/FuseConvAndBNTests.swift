import ModelCore
import ModelSurgery
import Testing

@Suite struct FuseConvAndBNTests {
  private func norm(_ variance: [Float], weight: [Float]?, bias: [Float]?, mean: [Float], eps: Double) throws
    -> BatchNormTensors
  {
    BatchNormTensors(
      weight: try weight.map { try Tensor($0) }, bias: try bias.map { try Tensor($0) }, runningMean: try Tensor(mean),
      runningVar: try Tensor(variance), eps: eps)
  }

  @Test func scalesEachOutputChannel() throws {
    let fused = try fuseConvAndBN(
      weight: try Tensor([1, 2, 3, 4], [2, 2, 1, 1]), bias: try Tensor([1, 1]),
      normalization: try norm([3, 8], weight: [4, 6], bias: [1, -1], mean: [2, 3], eps: 1))
    #expect(try fused.weight.floats() == [2, 4, 6, 8])
    #expect(try fused.bias.floats() == [-1, -5])
    #expect(fused.weight.shape == [2, 2, 1, 1] && fused.bias.shape == [2])
  }

  @Test func withoutAffineAndBias() throws {
    let fused = try fuseConvAndBN(
      weight: try Tensor([8], [1, 1]), normalization: try norm([4], weight: nil, bias: nil, mean: [6], eps: 0))
    #expect(try fused.weight.floats() == [4] && fused.bias.floats() == [-3])
  }

  @Test func transposedInGroups() throws {
    // [in 4, out/groups 1]: inputs 0 and 1 make output 0, inputs 2 and 3 output 1.
    let fused = try fuseConvAndBN(
      weight: try Tensor([1, 1, 1, 1], [4, 1, 1, 1]), isTransposed: true, groups: 2,
      normalization: try norm([1, 4], weight: [2, 6], bias: [0, 0], mean: [0, 0], eps: 0))
    #expect(try fused.weight.floats() == [2, 2, 3, 3])
  }

  @Test(arguments: [DType.float64, .float16, .bfloat16])
  func otherTypesKeepTheirs(_ dtype: DType) throws {
    let weight = try Tensor([1, 2], [2, 1]).converted(to: dtype)
    let fused = try fuseConvAndBN(
      weight: weight, normalization: try norm([1, 4], weight: [3, 3], bias: [0, 0], mean: [1, 1], eps: 0))
    #expect(fused.weight.dtype == dtype && fused.bias.dtype == dtype)
    #expect(try fused.weight.doubles() == [3, 3] && fused.bias.doubles() == [-3, -1.5])
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let normalization = try norm([1, 1, 1], weight: nil, bias: nil, mean: [0, 0, 0], eps: 0)
    #expect(throws: ModelError(.mismatch, "channel counts differ: the weight gives 2, the batch norm takes 3")) {
      try fuseConvAndBN(weight: try Tensor([1, 2], [2, 1]), normalization: normalization)
    }
    #expect(throws: ModelError(.unsupported, "int64 weights cannot be fused")) {
      try fuseConvAndBN(weight: try Tensor(.int64, [3, 1]), normalization: normalization)
    }
  }
}
