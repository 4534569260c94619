import ModelCore

/// What `reparameterize` did and what it left alone.
public struct ReparameterizationReport: Sendable, Codable {
  /// A block that was left as it is.
  public struct Refusal: Sendable, Codable, Hashable {
    /// The block's dotted path.
    public let name: String
    /// Why, in words.
    public let reason: String
  }

  /// The dotted paths of the blocks whose branches were merged.
  public internal(set) var merged: [String] = []
  /// The blocks that were left as they are, each with its reason.
  public internal(set) var refused: [Refusal] = []

  /// Nothing merged, nothing refused.
  public init() {}
}

extension Module {
  /// Merges the parallel branches of RepVGG-style blocks (YOLOv6's and RepVGG's RepVGGBlock, RepVGGplus', YOLOv6's
  /// QARepVGG, YOLOv7's, YOLOv9's and Ultralytics' RepConv, YOLOv10's RepVGGDW, MobileOne's block, timm's RepVggBlock,
  /// MobileOneBlock, FastViT's RepMixer and RepViT's RepVggDw, Ultralytics' Conv2) into one convolution each, as their own `switch_to_deploy`, `fuse_repvgg_block`, `fuse_convs`, `fuse`
  /// and `reparameterize` do.
  ///
  /// Each branch is fused with its own batch norm, padded to the largest kernel and added; a batch norm alone is an
  /// identity kernel, an average pool one of equal weights. The sum is taken in float32 and rounded once to the weights'
  /// type. What runs behind the sum stays: QARepVGG's norm, which `fuse` then takes. A block that is not understood stays
  /// and is named in the report.
  /// - Throws: what reading a weight throws; the module is then as it was.
  @discardableResult
  public mutating func reparameterize() throws -> ReparameterizationReport {
    var report = ReparameterizationReport()
    var merged = self
    try merged.updateModules { path, module in
      do {
        guard let block = try BranchedBlock(module) else { return }
        try block.merge(into: &module)
        report.merged.append(path)
      } catch let error as ModelError where error.kind == .unsupported || error.kind == .mismatch {
        report.refused.append(.init(name: path, reason: error.reason))
      }
    }
    self = merged
    return report
  }
}
