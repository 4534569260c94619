/// Everything the library offers, under one import.
@_exported import ModelArchitectures
@_exported import ModelAutograd
@_exported import ModelAveraging
@_exported import ModelCheckpoints
@_exported import ModelCore
@_exported import ModelData
@_exported import ModelDownloads
@_exported import ModelEngine
@_exported import ModelGraph
@_exported import ModelImages
@_exported import ModelInspection
@_exported import ModelONNX
@_exported import ModelRandom
@_exported import ModelRuntime
@_exported import ModelSurgery
@_exported import ModelTraining
@_exported import ModelWorkflows
