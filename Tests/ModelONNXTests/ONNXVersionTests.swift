import ModelCheckpoints
import ModelCore
import ModelGraph
import Testing

@testable import ModelONNX

/// Operators whose meaning changed from one edition to another.
@Suite struct ONNXVersionTests {
  private func shape(
    _ operation: String, opset: Int, _ tensors: [Tensor?], _ attributes: [ONNXAttribute] = [], count: Int = 1
  ) throws -> [Int] { try outputs(operation, opset: opset, tensors, attributes, count: count)[0].shape }

  @Test func reshapeTakesItsShapeAsAnInputFromEdition5() throws {
    #expect(try shape("Reshape", opset: 1, [counted([2, 6])], [ONNXAttribute("shape", [3, -1])]) == [3, 4])
    #expect(try shape("Reshape", opset: 5, [counted([2, 6]), whole([0, 3, -1])]) == [2, 3, 2])
    let empty = try Tensor(.float32, [0, 3])
    #expect(try shape("Reshape", opset: 14, [empty, whole([3, 0])], [ONNXAttribute("allowzero", 1)]) == [3, 0])
  }

  @Test func softmaxFlattensBeforeEdition13() throws {
    let x = try counted([1, 2, 2])
    let flat = try outputs("Softmax", opset: 12, [x])[0].floats()
    #expect(abs(flat.reduce(0, +) - 1) < 1e-6)
    let byAxis = try outputs("Softmax", opset: 13, [x])[0].floats()
    #expect(abs(byAxis[0] + byAxis[1] - 1) < 1e-6 && abs(byAxis.reduce(0, +) - 2) < 1e-6)
    let hard = try outputs("Hardmax", opset: 12, [x])[0].floats()
    #expect(hard == [0, 0, 0, 1])
    #expect(try outputs("Hardmax", opset: 13, [x])[0].floats() == [0, 1, 0, 1])
  }

  @Test func sliceTakesBoundsAsInputsFromEdition10() throws {
    let x = try counted([6])
    let old = try outputs("Slice", opset: 9, [x], [ONNXAttribute("starts", [1]), ONNXAttribute("ends", [-1])])
    #expect(try old[0].floats() == [1, 2, 3, 4])
    let new = try outputs("Slice", opset: 10, [x, whole([5]), whole([Int.min]), whole([0]), whole([-2])])
    #expect(try new[0].floats() == [5, 3, 1])
    let far = try outputs("Slice", opset: 13, [x, whole([2]), whole([Int.max])])
    #expect(try far[0].floats() == [2, 3, 4, 5])
  }

  @Test func clipTakesBoundsAsInputsFromEdition11() throws {
    let x = try counted([4])
    #expect(
      try outputs("Clip", opset: 6, [x], [ONNXAttribute("min", Float(1)), ONNXAttribute("max", Float(2))])[0]
        .floats() == [1, 1, 2, 2])
    #expect(try outputs("Clip", opset: 11, [x, nil, floats([1], [])])[0].floats() == [0, 1, 1, 1])
  }

  @Test func dropoutIsNothingInInference() throws {
    let x = try counted([3])
    #expect(try outputs("Dropout", opset: 10, [x], [ONNXAttribute("ratio", Float(0.5))])[0].floats() == [0, 1, 2])
    let masked = try outputs("Dropout", opset: 12, [x, floats([0.3], [])], count: 2)
    #expect(masked[1].dtype == .bool)
    #expect(throws: ModelError.self) {
      try outputs("Dropout", opset: 12, [x, floats([0.5], []), Tensor(integers: [1] as [Int], .bool, [])])
    }
  }

  @Test func padTakesMarginsAsAnInputFromEdition11() throws {
    let x = try counted([3])
    let old = [ONNXAttribute("pads", [1, 0]), ONNXAttribute("value", Float(7))]
    #expect(try outputs("Pad", opset: 10, [x], old)[0].floats() == [7, 0, 1, 2])
    #expect(try outputs("Pad", opset: 11, [x, whole([1, -1]), floats([5], [])])[0].floats() == [5, 0, 1])
    let pairs = try counted([1, 3])
    #expect(try shape("Pad", opset: 18, [pairs, whole([2, 1]), nil, whole([-1])]) == [1, 6])
    let mode = ONNXAttribute("mode", "wrap")
    #expect(try outputs("Pad", opset: 19, [x, whole([1, 1])], [mode])[0].floats() == [2, 0, 1, 2, 0])
  }

  @Test func resizeAndUpsampleBecameWhatTheyAre() throws {
    let x = try counted([1, 1, 1, 2])
    let scales = try floats([1, 1, 1, 2])
    let upsample = ONNXAttribute("scales", .floats([1, 1, 1, 2]))
    #expect(try outputs("Upsample", opset: 7, [x], [upsample])[0].floats() == [0, 0, 1, 1])
    #expect(try outputs("Upsample", opset: 9, [x, scales])[0].floats() == [0, 0, 1, 1])
    #expect(try outputs("Resize", opset: 10, [x, scales])[0].floats() == [0, 0, 1, 1])
    let linear = ONNXAttribute("mode", "linear")
    #expect(try outputs("Resize", opset: 10, [x, scales], [linear])[0].floats() == [0, 0.5, 1, 1])
    #expect(try outputs("Resize", opset: 11, [x, nil, scales], [linear])[0].floats() == [0, 0.25, 0.75, 1])
    let corners = ONNXAttribute("coordinate_transformation_mode", "align_corners")
    let aligned = try outputs("Resize", opset: 13, [x, nil, nil, whole([1, 1, 1, 3])], [linear, corners])
    #expect(try aligned[0].floats() == [0, 0.5, 1])
    let axes = [ONNXAttribute("axes", [3]), ONNXAttribute("keep_aspect_ratio_policy", "not_larger")]
    #expect(try shape("Resize", opset: 18, [x, nil, nil, whole([4])], axes) == [1, 1, 1, 4])
    let symmetric = ONNXAttribute("coordinate_transformation_mode", "half_pixel_symmetric")
    #expect(try shape("Resize", opset: 19, [x, nil, floats([1, 1, 1, 1.7])], [linear, symmetric]) == [1, 1, 1, 3])
  }

  @Test func axesBecameAnInput() throws {
    let x = try counted([1, 2, 1])
    let axes = ONNXAttribute("axes", [0])
    #expect(try shape("Squeeze", opset: 11, [x], [axes]) == [2, 1])
    #expect(try shape("Squeeze", opset: 13, [x, whole([0])]) == [2, 1])
    #expect(try shape("Unsqueeze", opset: 11, [x], [axes]) == [1, 1, 2, 1])
    #expect(try shape("Unsqueeze", opset: 13, [x, whole([-1])]) == [1, 2, 1, 1])
    #expect(try outputs("ReduceSum", opset: 11, [x], [ONNXAttribute("axes", [1])])[0].floats() == [1])
    #expect(try outputs("ReduceSum", opset: 13, [x, whole([1])])[0].floats() == [1])
    #expect(try shape("ReduceSum", opset: 13, [x], [ONNXAttribute("noop_with_empty_axes", 1)]) == [1, 2, 1])
    #expect(try outputs("ReduceMax", opset: 13, [x], [ONNXAttribute("axes", [1])])[0].floats() == [1])
    #expect(try shape("ReduceMax", opset: 18, [x, whole([1])], [ONNXAttribute("keepdims", 0)]) == [1, 1])
  }

  @Test func splitDivides() throws {
    let x = try counted([5])
    let old = try outputs("Split", opset: 11, [x], [ONNXAttribute("split", [2, 3])], count: 2)
    #expect(old.map(\.shape) == [[2], [3]])
    #expect(try outputs("Split", opset: 13, [x, whole([4, 1])], count: 2).map(\.shape) == [[4], [1]])
    let parts = try outputs("Split", opset: 18, [x], [ONNXAttribute("num_outputs", 2)], count: 2)
    #expect(parts.map(\.shape) == [[3], [2]])
    #expect(throws: ModelError.self) { try outputs("Split", opset: 13, [x], count: 2) }
  }

  @Test func batchNormsTrainWhereTheyAreToldTo() throws {
    let x = try floats([1, 3], [2, 1])
    let parameters = try [floats([1]), floats([0]), floats([0]), floats([1])]
    let inference = try outputs("BatchNormalization", opset: 9, [x] + parameters, [ONNXAttribute("epsilon", Float(0))])
    #expect(try inference[0].floats() == [1, 3])
    let training = [
      ONNXAttribute("training_mode", 1), ONNXAttribute("epsilon", Float(0)), ONNXAttribute("momentum", Float(0.5)),
    ]
    let results = try outputs("BatchNormalization", opset: 14, [x] + parameters, training, count: 3)
    #expect(try results.map { try $0.floats() } == [[-1, 1], [1], [1]])
    let old = [ONNXAttribute("is_test", 1), ONNXAttribute("epsilon", Float(0))]
    #expect(try outputs("BatchNormalization", opset: 6, [x] + parameters, old)[0].floats() == [1, 3])
    let half = try [floats([1]), floats([0]), floats([0]), Tensor(integers: [1.0], .int64, [1]).cast(to: .float64)]
    #expect(try outputs("BatchNormalization", opset: 15, [x] + half)[0].dtype == .float32)
  }

  @Test func poolsRoundUpAndCount() throws {
    let x = try counted([1, 1, 5])
    let window = [ONNXAttribute("kernel_shape", [2]), ONNXAttribute("strides", [2])]
    #expect(try outputs("MaxPool", opset: 10, [x], window)[0].floats() == [1, 3])
    let up = window + [ONNXAttribute("ceil_mode", 1)]
    #expect(try outputs("MaxPool", opset: 10, [x], up)[0].floats() == [1, 3, 4])
    #expect(try outputs("AveragePool", opset: 19, [x], up)[0].floats() == [0.5, 2.5, 4])
    let padded = window + [ONNXAttribute("pads", [1, 0])]
    #expect(try outputs("AveragePool", opset: 7, [x], padded)[0].floats() == [0, 1.5, 3.5])
    let counted = padded + [ONNXAttribute("count_include_pad", 1)]
    #expect(try outputs("AveragePool", opset: 7, [x], counted)[0].floats() == [0, 1.5, 3.5])
    let dilated = [ONNXAttribute("kernel_shape", [2]), ONNXAttribute("dilations", [3])]
    #expect(try outputs("MaxPool", opset: 10, [x], dilated)[0].floats() == [3, 4])
    let places = try outputs("MaxPool", opset: 12, [x], window, count: 2)
    #expect(try places[1].integers() == [1, 3])
  }

  @Test(arguments: [("SAME_UPPER", [3, 5, 4]), ("SAME_LOWER", [0, 3, 5]), ("VALID", [3, 5])])
  func automaticPadding(_ mode: String, _ expected: [Float]) throws {
    // Sums of two with a stride of two over 0 1 2 3 4, zeros around.
    let x = try floats([0, 3, 2, 3, 4], [1, 1, 5])
    let weight = try floats([1, 1], [1, 1, 2])
    let attributes = [ONNXAttribute("auto_pad", mode), ONNXAttribute("strides", [2])]
    #expect(try outputs("Conv", [x, weight], attributes)[0].floats() == (mode == "SAME_LOWER" ? [0, 5, 7] : expected))
  }

  @Test func gemmNeedsNoThirdInputFromEdition11() throws {
    let (a, b) = (try counted([1, 2]), try floats([1, 2, 3, 4], [2, 2]))
    #expect(try outputs("Gemm", opset: 11, [a, b])[0].floats() == [3, 4])
    let attributes = [ONNXAttribute("transB", 1), ONNXAttribute("alpha", Float(2)), ONNXAttribute("beta", Float(0.5))]
    #expect(try outputs("Gemm", opset: 7, [a, b, floats([2, 4])], attributes)[0].floats() == [5, 10])
  }

  @Test func groupNormsHadParametersOfGroups() throws {
    let x = try counted([1, 4, 2])
    let groups = ONNXAttribute("num_groups", 2)
    let old = try outputs("GroupNormalization", opset: 18, [x, floats([1, 2]), floats([0, 0])], [groups])[0].floats()
    let new = try outputs(
      "GroupNormalization", opset: 21, [x, floats([1, 1, 2, 2]), floats([0, 0, 0, 0])], [groups])[0].floats()
    #expect(old == new)
  }

  @Test func shapesMayBePartsFromEdition15() throws {
    let x = try counted([2, 3, 4])
    #expect(try outputs("Shape", opset: 13, [x])[0].integers() == [2, 3, 4])
    let part = [ONNXAttribute("start", 1), ONNXAttribute("end", -1)]
    #expect(try outputs("Shape", opset: 15, [x], part)[0].integers() == [3])
  }

  @Test func quantisedNumbersHaveAxesAndBlocks() throws {
    let x = try Tensor(integers: [0, 2, 4, 6] as [Int], .uint8, [2, 2])
    let zero = try Tensor(integers: [2] as [Int], .uint8, [])
    #expect(try outputs("DequantizeLinear", opset: 10, [x, floats([0.5], []), zero])[0].floats() == [-1, 0, 1, 2])
    let rows = try outputs("DequantizeLinear", opset: 13, [x, floats([1, 10])], [ONNXAttribute("axis", 0)])
    #expect(try rows[0].floats() == [0, 2, 40, 60])
    let blocks = [ONNXAttribute("axis", 1), ONNXAttribute("block_size", 2)]
    #expect(
      try outputs("DequantizeLinear", opset: 21, [x, floats([1, 10], [2, 1])], blocks)[0].floats() == [0, 2, 40, 60])
  }

  @Test func recurrentLayersMayPutTheBatchFirst() throws {
    let (x, w, r) = (try counted([3, 2, 1]), try floats([1], [1, 1, 1]), try floats([0], [1, 1, 1]))
    let attributes = [ONNXAttribute("hidden_size", 1)]
    #expect(try outputs("RNN", opset: 7, [x, w, r], attributes, count: 2).map(\.shape) == [[3, 1, 2, 1], [1, 2, 1]])
    let first = attributes + [ONNXAttribute("layout", 1)]
    #expect(try outputs("RNN", opset: 14, [x, w, r], first, count: 2).map(\.shape) == [[3, 2, 1, 1], [3, 1, 1]])
  }

  @Test func sumsWereBroadcastAlongAnAxisBeforeEdition7() throws {
    let (x, y) = (try counted([2, 2]), try floats([10, 20]))
    let old = [ONNXAttribute("broadcast", 1), ONNXAttribute("axis", 0)]
    #expect(try outputs("Add", opset: 6, [x, y], old)[0].floats() == [10, 11, 22, 23])
    #expect(try outputs("Add", opset: 7, [x, y])[0].floats() == [10, 21, 12, 23])
  }

  @Test func geluIsOneOperatorFromEdition20() throws {
    let x = try floats([1])
    #expect(abs(try outputs("Gelu", opset: 20, [x])[0].floats()[0] - 0.8413447) < 1e-6)
    let tanh = [ONNXAttribute("approximate", "tanh")]
    #expect(abs(try outputs("Gelu", opset: 20, [x], tanh)[0].floats()[0] - 0.841192) < 1e-6)
  }

  @Test func castsGoTowardZero() throws {
    let x = try floats([-1.7, 2.9])
    #expect(try outputs("Cast", opset: 13, [x], [ONNXAttribute("to", 7)])[0].integers() == [-1, 2])
    let wide = try floats([-1.7, 2.9, 1000])
    let saturated = try outputs("Cast", opset: 19, [wide], [ONNXAttribute("to", 17)])[0]
    #expect(try saturated.doubles() == [-1.75, 3, 448])
  }
}
