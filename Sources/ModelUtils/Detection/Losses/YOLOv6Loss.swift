import ModelCore

/// YOLOv6's `ComputeLoss`, and that of `loss_fuseab`: boxes are assigned by ATSS in the first epochs, then by alignment;
/// scores cost a varifocal loss, boxes an overlap, distances' bins their cross entropy. Without any box in the batch
/// the scores alone cost.
///
/// All is computed in double; the original computes what no target takes part in in float32. Boxes are scaled by the
/// pictures' width and height, the original's release 0.4.0 by one size for both.
public struct YOLOv6Loss: DetectionObjective, Hashable {
  /// How many classes there are.
  public let classes: Int
  /// Of the levels, in pixels, fine to coarse.
  public let strides: [Int]
  /// How many bins each distance has, `reg_max` + 1; nil where the head gives the distances themselves.
  public let bins: Int?
  /// What boxes cost is 1 minus this.
  public let overlap: BoxOverlap.Form
  /// How many epochs boxes are assigned by ATSS.
  public let warmupEpochs: Int
  /// Whether the head has a branch with anchors beside, `fuse_ab`.
  public let fusesAnchors: Bool
  /// What the parts count.
  public let gains: DetectionGains
  /// The sum of wanted scores up to which nothing is divided by it: 0, in releases after 0.4.0 1 (but not for the branch
  /// with anchors).
  public let smallestSum: Double

  /// A loss.
  /// - Parameters:
  ///   - classes: how many there are, 1 or more.
  ///   - strides: of the levels, in pixels, fine to coarse.
  ///   - bins: `reg_max` + 1, 2 or more; nil where the head gives distances.
  ///   - overlap: siou for n, giou for s, m and l.
  ///   - warmupEpochs: `atss_warmup_epoch`.
  ///   - fusesAnchors: whether the head has a branch with three anchors at a place beside.
  ///   - smallestSum: the sum of wanted scores up to which nothing is divided by it.
  /// - Throws: `ModelError` for numbers that no head has.
  public init(
    classes: Int, strides: [Int] = [8, 16, 32], bins: Int? = nil, overlap: BoxOverlap.Form = .giou,
    warmupEpochs: Int = 0, fusesAnchors: Bool = false,
    gains: DetectionGains = DetectionGains(box: 2.5, classes: 1, bins: 0.5), smallestSum: Double = 0
  ) throws {
    try Self.check(classes: classes)
    guard bins.map({ (2...1024).contains($0) }) ?? true else {
      throw ModelError(.invalid, "a distance has 2 to 1024 bins, not \(bins ?? 0)")
    }
    guard smallestSum >= 0 else { throw ModelError(.invalid, "a sum of scores is not below 0, as \(smallestSum) is") }
    (self.classes, self.strides, self.bins, self.overlap) = (classes, strides, bins, overlap)
    (self.warmupEpochs, self.fusesAnchors, self.gains) = (warmupEpochs, fusesAnchors, gains)
    self.smallestSum = smallestSum
  }

  /// The loss of a batch; items are `iou_loss`, `dfl_loss` and `cls_loss`.
  /// - Parameters:
  ///   - outputs: scores behind the sigmoid [pictures, anchors, classes] and distances [pictures, anchors, 4 or 4 · bins];
  ///     with `fusesAnchors` before them the other branch's scores [pictures, 3 · anchors, classes] and boxes
  ///     [pictures, 3 · anchors, 4], a level's anchors one after the other.
  public func callAsFunction(
    _ outputs: [Tensor], _ targets: DetectionTargets, height: Int, width: Int, epoch: Int
  ) throws -> DetectionLoss {
    let grid = try AnchorGrid(height: height, width: width, strides: strides)
    let regression = BoxRegression(
      coding: bins.map { .bins($0) } ?? .distances, overlap: BoxOverlap(overlap))
    var expected = [
      ("scores", [nil, grid.count, classes]), ("distances", [nil, grid.count, regression.channels]),
    ]
    if fusesAnchors {
      expected =
        [("anchors' scores", [nil, 3 * grid.count, classes]), ("anchors' boxes", [nil, 3 * grid.count, 4])] + expected
    }
    let outputs = try TrainingOutputs(outputs, expected)
    let boxes = try targets.boxes(pictures: outputs.pictures, classes: classes, height: height, width: width)
    func loss(_ grid: AnchorGrid, _ assigner: AssignedLoss.Assigner, _ regression: BoxRegression) -> AssignedLoss {
      AssignedLoss(
        grid: grid, assigner: assigner, classCost: .varifocal, regression: regression, gains: gains,
        smallestSum: grid.copies > 1 ? 0 : smallestSum, factor: 1, isChannelMajor: false)
    }
    var branches: [AssignedLoss.Parts] = []
    if fusesAnchors {
      let anchors = try AnchorGrid(height: height, width: width, strides: strides, copies: 3)
      let other = BoxRegression(coding: .center, overlap: BoxOverlap(overlap))
      branches.append(
        try loss(anchors, .aligned(TaskAlignedAssigner(candidates: 26)), other)(outputs, at: 0, boxes))
    }
    let assigner: AssignedLoss.Assigner =
      epoch < warmupEpochs ? .nearest(ATSSAssigner()) : .aligned(TaskAlignedAssigner())
    branches.append(try loss(grid, assigner, regression)(outputs, at: fusesAnchors ? 2 : 0, boxes))
    let items = [
      DetectionLoss.Item(name: "iou_loss", value: branches.reduce(0) { $0 + $1.box }),
      DetectionLoss.Item(name: "dfl_loss", value: branches.reduce(0) { $0 + $1.bins }),
      DetectionLoss.Item(name: "cls_loss", value: branches.reduce(0) { $0 + $1.classes }),
    ]
    return DetectionLoss(
      total: items.reduce(0) { $0 + $1.value }, items: items, gradients: branches.flatMap(\.gradients))
  }
}
