import ModelCore
import ModelRandom

/// What training does to pictures with boxes, by YOLOv5's and YOLOv6's names of hyper-parameters.
public struct DetectionAugmentation: Sendable, Hashable, Codable {
  /// `hsv_h`, `hsv_s`, `hsv_v`: by which share hue, saturation and value change at the most.
  public var hue = 0.015, saturation = 0.7, value = 0.4
  /// `degrees`: pictures turn by up to so many either way.
  public var degrees = 0.0
  /// `translate`: they move by up to this share of the side.
  public var translate = 0.1
  /// `scale`: they become larger or smaller by up to this share.
  public var scale = 0.5
  /// `shear`: they slant by up to so many degrees.
  public var shear = 0.0
  /// `flipud`, `fliplr`: the probabilities of being turned over and of being mirrored.
  public var flipUpDown = 0.0, flipLeftRight = 0.5
  /// `mosaic`: the probability of being put together of four.
  public var mosaic = 1.0
  /// `mixup`: the probability of a mosaic of being blended with another.
  public var mixup = 0.0

  /// YOLOv6 n and s, of P5 and P6, and of lite: the defaults.
  public static let yolov6n = DetectionAugmentation()
  /// YOLOv6 m and m6, and l.
  public static let yolov6m = DetectionAugmentation(scale: 0.9, mixup: 0.1)
  /// YOLOv6 l6.
  public static let yolov6l6 = DetectionAugmentation(scale: 0.9, mixup: 0.2)
  /// YOLOv6's recipes to go on from trained weights.
  public static let yolov6Finetune = DetectionAugmentation(
    hue: 0.0138, saturation: 0.664, value: 0.464, degrees: 0.373, translate: 0.245, scale: 0.898, shear: 0.602,
    flipUpDown: 0.00856, mixup: 0.243)
  /// Nothing: pictures are fitted into a square and stay as they are, with the draws of one that may change.
  public static let none = DetectionAugmentation(
    hue: 0, saturation: 0, value: 0, translate: 0, scale: 0, flipLeftRight: 0, mosaic: 0)

  /// YOLOv6 n's where nothing else is said.
  public init(
    hue: Double = 0.015, saturation: Double = 0.7, value: Double = 0.4, degrees: Double = 0, translate: Double = 0.1,
    scale: Double = 0.5, shear: Double = 0, flipUpDown: Double = 0, flipLeftRight: Double = 0.5, mosaic: Double = 1,
    mixup: Double = 0
  ) {
    (self.hue, self.saturation, self.value) = (hue, saturation, value)
    (self.degrees, self.translate, self.scale, self.shear) = (degrees, translate, scale, shear)
    (self.flipUpDown, self.flipLeftRight, self.mosaic, self.mixup) = (flipUpDown, flipLeftRight, mosaic, mixup)
  }

  /// Refuses numbers out of their ranges.
  /// - Throws: `ModelError` for probabilities and shares that are not 0 to 1, and angles that are not 0 to 180 and below
  ///   90 degrees.
  public func check() throws {
    let shares = [
      ("hsv_h", hue), ("hsv_s", saturation), ("hsv_v", value), ("translate", translate), ("scale", scale),
      ("flipud", flipUpDown), ("fliplr", flipLeftRight), ("mosaic", mosaic), ("mixup", mixup),
    ]
    if let (name, value) = shares.first(where: { !(0...1).contains($0.1) }) {
      throw ModelError(.invalid, "is \(value), where it goes from 0 to 1", subject: name)
    }
    guard (0...180).contains(degrees) else {
      throw ModelError(.invalid, "is \(degrees), where it goes from 0 to 180", subject: "degrees")
    }
    guard shear >= 0, shear < 90 else {
      throw ModelError(.invalid, "is \(shear), where it goes from 0 to below 90", subject: "shear")
    }
  }
}

/// What augmentation draws from: Python's `random` and NumPy's global generator.
public struct AugmentationGenerators: Sendable, Equatable {
  /// Python's `random`.
  public var python: PythonGenerator
  /// NumPy's `np.random`.
  public var numPy: NumPyGenerator

  /// As `random.seed(seed)` and `np.random.seed(seed)`.
  /// - Throws: `ModelError` for a seed beyond 32 bits, as NumPy refuses it.
  public init(seed: UInt64) throws {
    (python, numPy) = (PythonGenerator(seed: seed), try NumPyGenerator(seed: seed))
  }
}
