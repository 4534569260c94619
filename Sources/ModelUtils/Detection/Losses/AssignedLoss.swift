import ModelCore

/// What the parts of a loss count.
public struct DetectionGains: Sendable, Hashable, Codable {
  /// Of 1 - overlap.
  public var box: Double
  /// Of the scores of classes.
  public var classes: Double
  /// Of the distances' bins, the distribution focal loss.
  public var bins: Double

  /// What the parts count.
  public init(box: Double, classes: Double, bins: Double) {
    (self.box, self.classes, self.bins) = (box, classes, bins)
  }
}

/// What the losses of YOLOv6 and YOLOv8 have in common: anchors are assigned to boxes, scores cost everywhere, boxes
/// where an anchor answers for one, and all is divided by the sum of the scores that are wanted.
struct AssignedLoss: Sendable {
  enum Assigner: Sendable {
    case aligned(TaskAlignedAssigner)
    case nearest(ATSSAssigner)
  }

  let grid: AnchorGrid
  let assigner: Assigner
  let classCost: ClassCost
  let regression: BoxRegression
  let gains: DetectionGains
  /// A sum of wanted scores that is not above this counts as 1.
  let smallestSum: Double
  /// What the gradient is multiplied with.
  let factor: Double
  /// Whether outputs are [pictures, channels, anchors].
  let isChannelMajor: Bool

  struct Parts {
    var box = 0.0
    var bins = 0.0
    var classes = 0.0
    var gradients: [Tensor]
  }

  private struct Picture {
    let index: Int
    let targets: [TargetBox]
    var assigned: [AnchorAssignment] = []
    var sum = 0.0
    var box = 0.0
    var bins = 0.0
    var classes = 0.0
  }

  /// The loss of two outputs, scores and boxes.
  /// - Parameter first: which of the outputs the scores are.
  func callAsFunction(_ outputs: TrainingOutputs, at first: Int, _ targets: [[TargetBox]]) throws -> Parts {
    outputs.isDouble
      ? try parts(outputs, at: first, targets, of: Double.self) : try parts(outputs, at: first, targets, of: Float.self)
  }

  private func parts<Element: LossElement>(
    _ outputs: TrainingOutputs, at first: Int, _ targets: [[TargetBox]], of type: Element.Type
  ) throws -> Parts {
    let tensors = outputs.tensors[first...first + 1]
    let layouts = tensors.map { AnchorLayout($0.shape, isChannelMajor: isChannelMajor) }
    var gradients = try tensors.map { try Tensor(type.dtype, $0.shape) }
    var pictures = targets.enumerated().map { Picture(index: $0, targets: $1) }
    var divisor = 1.0
    try outputs.tensors[first].withElements(of: type) { scores in
      try outputs.tensors[first + 1].withElements(of: type) { boxes in
        nonisolated(unsafe) let (scores, boxes) = (scores, boxes)
        try Parallel.update(&pictures) { picture in
          let scores = layouts[0].values(scores, picture.index)
          let boxes = layouts[1].values(boxes, picture.index)
          try outputs.check(first, scores.values, picture: picture.index)
          try outputs.check(first + 1, boxes.values, picture: picture.index)
          try classCost.check(scores.values, subject: outputs.names[first])
          try assign(&picture, scores, boxes)
        }
        let sum = pictures.reduce(0) { $0 + $1.sum }
        if sum > smallestSum { divisor = sum }
        let share = factor / divisor
        try gradients[0].withMutableElements(of: type) { gradients in
          nonisolated(unsafe) let gradients = gradients
          try Parallel.update(&pictures) { picture in
            picture.classes = classCost.cost(
              layouts[0].values(scores, picture.index), picture.targets, picture.assigned,
              factor: gains.classes * share, gradients: layouts[0].gradients(gradients, picture.index))
          }
        }
        try gradients[1].withMutableElements(of: type) { gradients in
          nonisolated(unsafe) let gradients = gradients
          try Parallel.update(&pictures) { picture in
            addBoxes(
              &picture, layouts[1].values(boxes, picture.index), layouts[1].gradients(gradients, picture.index), share)
          }
        }
      }
    }
    var parts = Parts(gradients: gradients)
    for picture in pictures {
      parts.box += picture.box * gains.box / divisor
      parts.bins += picture.bins * gains.bins / divisor
      parts.classes += picture.classes * gains.classes / divisor
    }
    return parts
  }

  private func assign<Element: LossElement>(
    _ picture: inout Picture, _ scores: AnchorValues<Element>, _ boxes: AnchorValues<Element>
  ) throws {
    guard !picture.targets.isEmpty else { return }
    let predictions = regression.boxes(boxes, on: grid)
    switch assigner {
    case .aligned(let assigner):
      picture.assigned = try assigner(picture.targets, on: grid, predictions: predictions) {
        classCost.probability(scores[$0, $1])
      }
    case .nearest(let assigner):
      picture.assigned = try assigner(picture.targets, on: grid, predictions: predictions)
    }
    picture.sum = picture.assigned.reduce(0) { $0 + $1.score }
  }

  private func addBoxes<Element: LossElement>(
    _ picture: inout Picture, _ boxes: AnchorValues<Element>, _ gradients: AnchorGradients<Element>, _ share: Double
  ) {
    for positive in picture.assigned {
      let weight = positive.score * share
      let cost = regression.cost(
        boxes, positive.anchor, grid.points[positive.anchor], target: picture.targets[positive.target].box,
        boxWeight: weight * gains.box, binsWeight: weight * gains.bins, gradients: gradients)
      picture.box += cost.box * positive.score
      picture.bins += cost.bins * positive.score
    }
  }
}
