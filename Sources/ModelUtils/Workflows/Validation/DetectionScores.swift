import ModelCore
import ModelDetection

/// How well a detector does on a set.
public struct DetectionScores: Sendable {
  /// By which settings.
  public let validation: DetectorValidation
  /// The set's classes, in their order.
  public let classNames: [String]
  /// How many pictures.
  public let count: Int
  /// COCO's average precision and recall, by class.
  public let evaluation: COCOEvaluation
  /// Precision, recall and F1 over the confidence.
  public let curves: DetectionCurves
  /// What truths are taken for; nil where there are more than 4096 classes.
  public let confusion: DetectionConfusion?
  /// In how many pictures each class is.
  public let pictures: [Int]
  /// What was found, in the pictures' pixels, boxes with three decimals and scores with five; of each picture the surest
  /// first.
  public let predictions: [DetectionPrediction]

  /// COCO's twelve figures.
  public var figures: COCOEvaluation.Figures { evaluation.figures }
  /// Of the classes that have truths, how many there are of all.
  public var instanceCount: Int { curves.classes.reduce(0) { $0 + $1.truthCount } }

  /// mAP50 as the original says it: the mean over classes at an overlap of 0.5, 0 where there is nothing to find. YOLOv6
  /// takes COCO's.
  public var averagePrecision50: Double {
    validation.rules == .yolov6 ? max(0, figures.averagePrecision50) : curves.meanAveragePrecision50
  }

  /// mAP50-95 as the original says it: the mean over the overlaps 0.5, 0.55 … 0.95.
  public var averagePrecision: Double {
    validation.rules == .yolov6 ? max(0, figures.averagePrecision) : curves.meanAveragePrecision
  }

  /// The mean precision at the confidence where the mean F1 is best.
  public var precision: Double { curves.best.precision }
  /// The mean recall there.
  public var recall: Double { curves.best.recall }
  /// The mean F1 there.
  public var f1: Double { curves.best.f1 }

  /// A class that has truths, at the confidence where the mean F1 of all is best.
  public struct ClassScores: Sendable, Hashable {
    /// The class, from 0.
    public let classIndex: Int
    /// What the set calls it.
    public let className: String
    /// In how many pictures it is.
    public let pictureCount: Int
    /// How many there are.
    public let instanceCount: Int
    /// What share of the predictions is right.
    public let precision: Double
    /// What share of the truths is found.
    public let recall: Double
    /// The harmonic mean of both.
    public let f1: Double
    /// AP at an overlap of 0.5.
    public let averagePrecision50: Double
    /// The mean AP over all overlaps.
    public let averagePrecision: Double
  }

  /// Of the classes that have truths, in their order.
  public var classes: [ClassScores] {
    let place = curves.best.place
    return curves.classes.map { curve in
      let index = curve.classIndex
      let isCOCO = validation.rules == .yolov6
      let coco50 = isCOCO ? try? evaluation.averagePrecision(ofClass: index, overlap: 0) : nil
      let coco = isCOCO ? try? evaluation.averagePrecision(ofClass: index) : nil
      return ClassScores(
        classIndex: index, className: classNames[index], pictureCount: pictures[index],
        instanceCount: curve.truthCount, precision: curve.precision[place], recall: curve.recall[place],
        f1: curve.f1[place], averagePrecision50: coco50 ?? curve.averagePrecision50,
        averagePrecision: coco ?? curve.averagePrecision)
    }
  }
}
