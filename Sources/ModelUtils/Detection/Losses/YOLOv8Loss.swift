import ModelCore

/// Ultralytics' `v8DetectionLoss`, of YOLOv8 and its successors' heads: boxes are assigned by alignment, scores cost a
/// binary cross entropy, boxes CIoU, distances' bins their cross entropy. Heads without bins and weights of classes are
/// not here.
public struct YOLOv8Loss: DetectionObjective, Hashable {
  /// How many classes there are.
  public let classes: Int
  /// Of the levels, in pixels, fine to coarse.
  public let strides: [Int]
  /// How many bins each distance has, `reg_max`.
  public let bins: Int
  /// What the parts count.
  public let gains: DetectionGains
  /// How many anchors a box chooses.
  public let candidates: Int

  /// A loss.
  /// - Parameters:
  ///   - classes: how many there are, 1 or more.
  ///   - strides: of the levels, in pixels, fine to coarse.
  ///   - bins: `reg_max`, 2 or more.
  ///   - candidates: how many anchors a box chooses.
  /// - Throws: `ModelError` for numbers that no head has.
  public init(
    classes: Int, strides: [Int] = [8, 16, 32], bins: Int = 16,
    gains: DetectionGains = DetectionGains(box: 7.5, classes: 0.5, bins: 1.5), candidates: Int = 10
  ) throws {
    try Self.check(classes: classes)
    guard (2...1024).contains(bins) else {
      throw ModelError(.invalid, "a distance has 2 to 1024 bins, not \(bins)")
    }
    guard candidates >= 1 else { throw ModelError(.invalid, "a box cannot choose \(candidates) anchors") }
    (self.classes, self.strides, self.bins, self.gains) = (classes, strides, bins, gains)
    self.candidates = candidates
  }

  /// The loss of a batch; items are `box_loss`, `cls_loss` and `dfl_loss`, the total their sum times the pictures.
  /// - Parameter outputs: the head's boxes [pictures, 4 · bins, anchors] and its scores before the sigmoid
  ///   [pictures, classes, anchors], which older releases give joined and by level.
  public func callAsFunction(
    _ outputs: [Tensor], _ targets: DetectionTargets, height: Int, width: Int, epoch: Int
  ) throws -> DetectionLoss {
    let grid = try AnchorGrid(height: height, width: width, strides: strides)
    // The shared part takes scores first.
    let expected = [("scores", [nil, classes, grid.count]), ("boxes", [nil, 4 * bins, grid.count])]
    let outputs = try TrainingOutputs(outputs.reversed(), expected)
    let boxes = try targets.boxes(pictures: outputs.pictures, classes: classes, height: height, width: width)
    let assigner = TaskAlignedAssigner(
      rules: .yolov8, candidates: candidates, alpha: 0.5, beta: 6,
      smallestSide: Double(strides.count > 1 ? strides[1] : strides[0]))
    let loss = AssignedLoss(
      grid: grid, assigner: .aligned(assigner), classCost: .binaryCrossEntropy,
      regression: BoxRegression(coding: .bins(bins), overlap: BoxOverlap(.ciou, epsilon: 1e-7)), gains: gains,
      smallestSum: 1, factor: Double(outputs.pictures), isChannelMajor: true)
    let parts = try loss(outputs, at: 0, boxes)
    let items = [
      DetectionLoss.Item(name: "box_loss", value: parts.box),
      DetectionLoss.Item(name: "cls_loss", value: parts.classes),
      DetectionLoss.Item(name: "dfl_loss", value: parts.bins),
    ]
    return DetectionLoss(
      total: items.reduce(0) { $0 + $1.value } * Double(outputs.pictures), items: items,
      gradients: parts.gradients.reversed())
  }
}
