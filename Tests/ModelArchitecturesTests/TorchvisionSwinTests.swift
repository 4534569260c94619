import ModelArchitectures
import ModelCore
import ModelGraph
import TestSupport
import Testing

/// Forwards that ask for the size of their input.
@Suite struct TorchvisionSwinTests {
  private let merging = Make.module(
    "torchvision.models.swin_transformer.PatchMerging",
    [
      "reduction": Make.linear(12, 6),
      "norm": Make.layer("torch.nn.modules.normalization.LayerNorm", .layerNorm(LayerNorm(normalizedShape: [12]))),
    ])

  private func attention(window: [Int] = [2, 3], heads: Int = 2) -> Module {
    var attention = Make.module(
      "torchvision.models.swin_transformer.ShiftedWindowAttention",
      attributes: [
        "window_size": .list(window.map { .int($0) }), "shift_size": .list([.int(1), .int(1)]),
        "num_heads": .int(heads), "attention_dropout": .double(0), "dropout": .double(0),
      ], ["qkv": Make.linear(4, 12), "proj": Make.linear(4, 4)])
    attention.parameters["relative_position_bias_table"] = Parameter(Make.zeros([15, 2]))
    attention.buffers["relative_position_index"] = try? Tensor(
      integers: [Double](repeating: 3, count: 36), .int64, [36])
    return attention
  }

  private func graph(_ module: Module, _ shape: [Int]) throws -> Graph {
    try Graph(module, inputs: [TensorType(.float32, shape)])
  }

  @Test func theSizeIsAskedFor() throws {
    #expect(
      refusal { _ = try Graph(merging) }
        == "what torchvision.models.swin_transformer.PatchMerging computes depends on the size of its input; "
        + "trace it for inputs of a size")
    #expect(try graph(merging, [1, 4, 6, 3]).outputShapes(of: [1, 4, 6, 3]) == [[1, 2, 3, 6]])
    #expect(try graph(merging, [1, 5, 7, 3]).outputShapes(of: [1, 5, 7, 3]) == [[1, 3, 4, 6]])
    #expect(try graph(merging, [1, 4, 6, 3]).inputShapes == [[1, 4, 6, 3]])
    #expect(refusal { _ = try graph(merging, [4, 6, 3]) }?.contains("takes 4 axes") == true)
  }

  @Test func aGraphForOneSizeTakesNoOther() throws {
    let small = try graph(merging, [1, 4, 6, 3])
    #expect(
      refusal { _ = try small.shapes(of: [[1, 6, 6, 3]]) }
        == "the graph was traced for inputs [1, 4, 6, 3]; trace it anew for another size")
    #expect(try Graph(Make.conv(3, 4)).inputShapes == nil)
  }

  /// Padded to whole windows, shifted only where there is more than one, masked only where it is shifted.
  @Test(arguments: [([1, 4, 6, 4], 1), ([1, 3, 5, 4], 1), ([1, 2, 6, 4], 1), ([1, 2, 3, 4], 0), ([1, 1, 1, 4], 0)])
  func windows(_ shape: [Int], _ masks: Int) throws {
    let graph = try graph(attention(), shape)
    #expect(try graph.outputShapes(of: shape) == [shape])
    #expect(graph.functions.filter { $0 == .compare(.notEqual) }.count == masks)
  }

  @Test func windowsThatDoNotFit() {
    for (module, shape, part) in [
      (attention(window: [2]), [1, 4, 6, 4], "'window_size'"),
      (attention(window: [0, 3]), [1, 4, 6, 4], "'window_size'"),
      (attention(heads: 3), [1, 4, 6, 4], "'num_heads'"), (attention(), [4, 6, 4], "takes 4 axes"),
      (attention(), [1, 1 << 15, 1 << 15, 4], "pixels in its windows"),
    ] {
      #expect(refusal { _ = try graph(module, shape) }?.contains(part) == true, "\(part)")
    }
  }
}
