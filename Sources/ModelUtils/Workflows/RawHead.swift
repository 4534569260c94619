import ModelArchitectures
import ModelCore
import ModelGraph

extension Module {
  /// What the convolutions of a detection head give, in a graph of this model: for each level its map [batch, outputs,
  /// height, width] (boxes and scores of several convolutions joined), then for each level what else it predicts, then
  /// prototypes of masks.
  /// - Throws: `ModelError` where the head has no such convolutions.
  func rawHeadOutputs(_ graph: inout Graph) throws -> [Graph.Value] {
    let head = try DetectionHead(of: self)
    let path = head.path
    func maps(_ list: String) -> [Graph.Value] {
      let calls = graph.scopes.filter { scope in
        guard scope.path.hasPrefix("\(path).\(list).") else { return false }
        return !scope.path.dropFirst(path.count + list.count + 2).contains(".")
      }
      return calls.flatMap { $0.outputs.prefix(1) }
    }
    let prototypes = graph.outputs(ofModule: "\(path).proto").prefix(1)
    let children = self[path]?.children
    if children?["m"] != nil { return maps("m") + prototypes }
    if children?["stems"] != nil {
      let suffix = children?["cls_preds_af"] != nil ? "_af" : ""
      let boxes = children?["reg_preds_lrtb"] != nil ? "reg_preds_lrtb" : "reg_preds\(suffix)"
      return try joined([maps(boxes), maps("cls_preds\(suffix)")], &graph, path)
    }
    let isOneToOne = children?["one2one_cv2"] != nil && (head.givesChosenBoxes || children?["cv2"] == nil)
    let prefix = isOneToOne ? "one2one_" : ""
    // YOLOv9's own levels come behind those that help in training.
    let group = head.output + (head.className == "TripleDDetect" ? 2 : 0)
    let levels = try joined(
      [maps("\(prefix)cv\(2 + 2 * group)"), maps("\(prefix)cv\(3 + 2 * group)")], &graph, path)
    let others = group > 0 ? [] : maps(children?["\(prefix)cv4_kpts"] == nil ? "\(prefix)cv4" : "\(prefix)cv4_kpts")
    return levels + others + prototypes
  }

  private func joined(_ lists: [[Graph.Value]], _ graph: inout Graph, _ path: String) throws -> [Graph.Value] {
    guard let first = lists.first, !first.isEmpty, lists.allSatisfy({ $0.count == first.count }) else {
      throw ModelError(.unsupported, "its head has no maps that are known", subject: path)
    }
    return try first.indices.map { level in
      try graph.call(path, lists.map { $0[level] }) { graph in
        try graph.emitAll(.concatenate(axis: 1), lists.map { $0[level] })
      }[0]
    }
  }
}
