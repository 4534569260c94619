import ModelCore

extension StateDict {
  /// Merges the parallel branches of RepVGG-style blocks whose names tell them: `rbr_dense`, `rbr_1x1` and
  /// `rbr_identity` (RepVGG, RepVGGplus, YOLOv6, YOLOv7), `rbr_conv`, `rbr_scale` and `rbr_skip` (MobileOne), `conv_kxk`,
  /// `conv_1x1`, `conv_scale` and `identity` (timm's RepVGG, MobileOne and FastViT, with what else FastViT merges).
  ///
  /// What comes of a block has the names of the deployed model: `rbr_reparam.weight` and `.bias`, or `reparam_conv`'s.
  /// Of such blocks the branches all have the same stride and dilation and padding that keeps the size, which is no part
  /// of a state dict.
  /// - Parameter eps: of the batch norms in the branches: 1e-5 is PyTorch's default, YOLO's models use 1e-3.
  /// - Throws: `ModelError` where no name tells of a block, and what reading a tensor throws; the state dict is then as it
  ///   was.
  @discardableResult
  public mutating func reparameterize(eps: Double) throws -> ReparameterizationReport {
    guard eps >= 0, eps.isFinite else { throw ModelError(.invalid, "eps \(eps) is not a number of 0 or more") }
    let blocks = try branchedBlocks()
    var report = ReparameterizationReport()
    var merged: [String: (block: NamedBlock, weight: Tensor, bias: Tensor)] = [:]
    let computed = Set(computedWeights().map(\.name))
    for block in blocks {
      do {
        if let layer = block.layers.first(where: { computed.contains("\($0).weight") }) {
          throw ModelError(.unsupported, "the weight of its \(layer) is computed when the model runs")
        }
        let (weight, bias) = try block.merged(eps: eps)
        for name in block.entries.keys { merged[name] = (block, weight, bias) }
        report.merged.append(block.path)
      } catch let error as ModelError where error.kind == .unsupported || error.kind == .mismatch {
        report.refused.append(.init(name: block.path, reason: error.reason))
      }
    }
    var result: OrderedDictionary<String, Tensor> = [:]
    for (name, tensor) in tensors {
      guard let (block, weight, bias) = merged[name] else {
        result[name] = tensor
        continue
      }
      // All that is left of a block stands in the place of its first entry.
      result["\(block.mergedPath).weight"] = weight
      result["\(block.mergedPath).bias"] = bias
    }
    tensors = result
    return report
  }

  /// Whether there is something to merge, by the names alone.
  /// - Throws: `ModelError` where no name tells of branches; it says where they are merged already.
  package func requireBranches() throws { _ = try branchedBlocks() }

  private func branchedBlocks() throws -> [NamedBlock] {
    let blocks = NamedBlock.all(in: self)
    guard blocks.isEmpty else { return blocks }
    if let entry = NamedBlock.mergedEntry(in: self) {
      throw ModelError(.unsupported, "its branches are merged already (\(entry)): nothing is left to do")
    }
    throw ModelError(
      .unsupported, "is a bare state dict whose names tell of no branches that could be merged",
      advice: "save the whole module with torch.save(model)")
  }
}
