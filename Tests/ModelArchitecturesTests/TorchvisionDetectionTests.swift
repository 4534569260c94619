import ModelArchitectures
import ModelCore
import ModelGraph
import TestSupport
import Testing

/// torchvision's detectors and quantizable models. Whole models are compared with the originals' elsewhere.
@Suite struct TorchvisionDetectionTests {
  private func list(_ modules: Module...) -> Module {
    Make.layer(
      "torch.nn.modules.container.ModuleList", .container,
      OrderedDictionary(uniqueKeysWithValues: modules.enumerated().map { ("\($0)", $1) }))
  }

  private let detection = "torchvision.models.detection"

  private func backbone() -> Module {
    let body = Make.module(
      "torchvision.models._utils.IntermediateLayerGetter",
      attributes: [
        "return_layers": .dict(["a": "0", "b": "1"].map { .init(key: .string($0), value: .string($1)) })
      ], ["a": Make.conv(3, 4, 2, stride: 2), "b": Make.conv(4, 6, 2, stride: 2)])
    let pyramid = Make.module(
      "torchvision.ops.feature_pyramid_network.FeaturePyramidNetwork",
      [
        "inner_blocks": list(Make.conv(4, 5), Make.conv(6, 5)), "layer_blocks": list(Make.conv(5, 5), Make.conv(5, 5)),
        "extra_blocks": Make.module("torchvision.ops.feature_pyramid_network.LastLevelMaxPool"),
      ])
    return Make.module("\(detection).backbone_utils.BackboneWithFPN", ["body": body, "fpn": pyramid])
  }

  private func detector(_ heads: Module) -> Module {
    let proposals = Make.module(
      "\(detection).rpn.RegionProposalNetwork",
      [
        "head": Make.module(
          "\(detection).rpn.RPNHead",
          ["conv": Make.conv(5, 5, 3, padding: 1), "cls_logits": Make.conv(5, 3), "bbox_pred": Make.conv(5, 12)])
      ])
    return Make.module(
      "\(detection).faster_rcnn.FasterRCNN",
      [
        "transform": Make.module("\(detection).transform.GeneralizedRCNNTransform"), "backbone": backbone(),
        "rpn": proposals, "roi_heads": heads,
      ])
  }

  @Test func proposalsAndFeatures() throws {
    let graph = try Graph(
      detector(Make.module("\(detection).roi_heads.RoIHeads", ["box_head": Make.linear(5, 2)])))
    let sizes = [[8, 12], [4, 6], [2, 3]]
    let expected = [3, 12, 5].flatMap { channels in sizes.map { [1, channels] + $0 } }
    #expect(try graph.outputShapes(of: [1, 3, 16, 24]) == expected)
    #expect(graph.omissions.map(\.path) == ["transform", "roi_heads"])
    // Heads of before 0.12 have a function behind their convolution.
    #expect(graph.functions.filter { $0 == .unary(.relu) }.count == 3)
  }

  /// What runs for every box stands alone.
  @Test func whatIsLeftOutIsKnownByItself() {
    let heads = Make.module(
      "\(detection).roi_heads.RoIHeads", ["box_head": Make.sequential(Make.conv(5, 6), Make.norm(6))])
    let known = Graph.known(in: detector(heads))
    #expect(known.graphs.map { $0.scopes[0].path }.contains("roi_heads.box_head"))
    #expect(known.graphs.flatMap { $0.normalizedLayers() }.count == 1)
    #expect(known.unknown.contains(heads.identity) && known.failures.isEmpty)
  }

  @Test func levelsThatDoNotFit() {
    var pyramid = backbone()
    pyramid.children["fpn"]?.children["inner_blocks"] = list(Make.conv(4, 5))
    #expect(refusal { _ = try Graph(pyramid) }?.contains("'inner_blocks'") == true)
    let scoring = Make.module(
      "\(detection).ssd.SSDClassificationHead", attributes: ["num_columns": .int(4)],
      ["module_list": list(Make.conv(3, 8))])
    #expect(refusal { _ = try Graph(scoring, inputCount: 2) }?.contains("'module_list'") == true)
    for width in [0, -1] {
      var head = scoring
      head.attributes["num_columns"] = .int(width)
      #expect(refusal { _ = try Graph(head) }?.contains("has rows of \(width) elements") == true)
    }
  }

  @Test func modelsThatCouldNotBeFollowedSayWhy() {
    let norm = Make.norm(3)
    let root = Make.sequential(
      Make.layer(
        "torch.nn.modules.linear.Bilinear",
        .bilinear(Bilinear(firstFeatures: 1, secondFeatures: 1, outFeatures: 3))), norm)
    let known = Graph.known(in: root)
    #expect(known.failures[root.identity]?.reason == "takes 2 tensors, not 1")
  }

  // MARK: Quantizable models

  @Test func watchedSumsAreNotKnown() throws {
    func block(_ observer: Module) -> Module {
      Make.module(
        "torchvision.models.quantization.mobilenetv2.QuantizableInvertedResidual",
        attributes: ["use_res_connect": .bool(true)],
        [
          "conv": Make.conv(4, 4),
          "skip_add": Make.module(
            "torch.ao.nn.quantized.modules.functional_modules.FloatFunctional", ["activation_post_process": observer]),
        ])
    }
    let plain = try Graph(block(Make.layer("torch.nn.modules.linear.Identity", .identity)))
    #expect(try plain.outputShapes(of: [1, 4, 3, 3]) == [[1, 4, 3, 3]])
    #expect(
      refusal { _ = try Graph(block(Make.module("torch.ao.quantization.observer.MinMaxObserver"))) }
        == "skip_add: its activations are watched or quantized, which is not known")
  }
}
